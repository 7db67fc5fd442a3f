import { expect, test } from "vitest";
import { EXIT } from "./failure.ts";
import { temporaryHome } from "./testing/fake-gate.ts";
import { runCli } from "./testing/run-cli.ts";

/** Command lines that are wrong: each is answered with what is wrong, before anything is asked or started. */
const WRONG = [
  "",
  "strat",
  "ps --jsom",
  "ps extra",
  "run",
  "run --replicas 0 -- x",
  "run --replicas many -- x",
  "run --restart maybe -- x",
  "run --access everyone -- x",
  "run --service web -- x",
  "run --service web=htp -- x",
  "run --service web=http:99999 -- x",
  "run --wait 60 -- x",
  "run --name",
  "run --follow --json -- x",
  "attach",
  "attach web",
  "stop",
  "rm",
  "logs",
  "logs nb --tail -1",
  "forward",
  "forward nb:x",
  "token",
  "token make",
  "token create --for 8",
  "check",
  "completion",
  "completion tcsh",
];

test("a wrong command line is answered with what is wrong", async () => {
  using home = temporaryHome();
  const answers: string[] = [];
  for (const line of WRONG) {
    const words = line.split(" ").filter((word) => word !== "");
    const result = await runCli({ words, environment: { TASKGATE_HOME: home.directory } });
    expect({ line, ...result }).toMatchObject({ exitCode: EXIT.usage, stdout: "" });
    answers.push(`$ taskgate ${line}\n${result.stderr}`);
  }
  await expect(answers.join("\n")).toMatchFileSnapshot("testdata/usage-errors.txt");
});

test("help is on standard output, and no failure", async () => {
  for (const words of [["--help"], ["help", "run"], ["run", "--help"], ["token", "create", "-h"], ["--version"]]) {
    expect(await runCli({ words })).toMatchObject({ exitCode: EXIT.ok, stderr: "" });
  }
});
