import { homeAt } from "../../../config/home.ts";
import { createLocal, openStore } from "./local-stand.ts";

/**
 * Stands in for a gate that is killed: `node gate-process.ts HOME` starts a provider in the home, runs each line of its standard input (a
 * RunSpec as JSON) and answers with a line: the task's name.
 */
const home = homeAt({ TASKGATE_HOME: process.argv[2] });
const provider = createLocal(home, await openStore(home));
const never = new AbortController().signal;
await provider.start(() => undefined, never);
process.stdout.write("ready\n");
let held = "";
for await (const chunk of process.stdin.setEncoding("utf8")) {
  const lines = (held + String(chunk)).split("\n");
  held = lines.pop() ?? "";
  for (const line of lines) {
    const name = await provider.runner.run(JSON.parse(line) as Parameters<typeof provider.runner.run>[0], never);
    process.stdout.write(`${name}\n`);
  }
}
