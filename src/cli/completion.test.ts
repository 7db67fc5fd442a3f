import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { packageRoot } from "../platform/package-info.ts";
import { serviceView, startFakeGate, taskView, temporaryHome } from "./testing/fake-gate.ts";
import { runCli } from "./testing/run-cli.ts";

const execute = promisify(execFile);

/** What bash offers for a line, the cursor at its end; words broken as bash does. */
const ASK = `
source <(taskgate completion bash)
for line in "$@"; do
  IFS=$'\\t' read -r -a COMP_WORDS <<< "$line"
  [[ $line == *$'\\t' ]] && COMP_WORDS+=("")
  COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
  COMPREPLY=()
  _taskgate taskgate
  echo "\${COMPREPLY[*]}"
done
complete -p taskgate
`;

async function askBash(home: string, lines: readonly string[]): Promise<string[]> {
  const environment = {
    ...process.env,
    PATH: [join(packageRoot, "bin"), process.env.PATH ?? ""].join(delimiter),
    TASKGATE_HOME: home,
    XDG_CACHE_HOME: join(packageRoot, "node_modules", ".cache"),
  };
  const { stdout } = await execute("bash", ["--norc", "-c", ASK, "bash", ...lines], { env: environment });
  return stdout.trimEnd().split("\n");
}

test("bash completes commands, options, choices and names of tasks and services", { timeout: 60_000 }, async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  gate.tasks.set("notebook", taskView("notebook"));
  gate.tasks.set("numbers", taskView("numbers", { services: [serviceView("web"), serviceView("sql")] }));
  gate.tasks.set("evil", taskView("x$(touch y)"));
  const answers = await askBash(home.directory, [
    "taskgate\tst",
    "taskgate\tlogs\tno",
    "taskgate\topen\tnumbers/",
    "taskgate\trun\t--rest",
    "taskgate\trun\t--restart\ton",
    "taskgate\trun\t--restart\t=\ton",
    "taskgate\tcompletion\t",
    "taskgate\ttoken\tre",
    "taskgate\tstop\tx",
    "taskgate\trun\t--\tpyth",
  ]);
  expect(answers).toEqual([
    "stop",
    "notebook",
    "numbers/web numbers/sql",
    "--restart",
    "on-failure",
    "on-failure",
    "bash zsh fish",
    "revoke",
    "",
    "",
    "complete -o default -F _taskgate taskgate",
  ]);
});

test("where no gate runs there are no names, and nothing is said", async () => {
  using home = temporaryHome();
  const environment = { TASKGATE_HOME: home.directory };
  for (const words of [
    ["logs", ""],
    ["stop", "--gate", "a"],
    ["logs", "--tail", ""],
    ["run", "--name", ""],
  ]) {
    expect(await runCli({ words: ["__complete", "--", ...words], environment })).toEqual({
      exitCode: 0,
      stdout: "",
      stderr: "",
    });
  }
});

test("every command that help shows is completed, and no hidden one", async () => {
  const { stdout } = await runCli({ words: ["__complete", "--", ""] });
  expect(stdout.trimEnd().split("\n")).toMatchInlineSnapshot(`
    [
      "up",
      "run",
      "attach",
      "ps",
      "stop",
      "restart",
      "rm",
      "open",
      "logs",
      "forward",
      "login",
      "logout",
      "whoami",
      "share",
      "unshare",
      "token",
      "password",
      "sessions",
      "keys",
      "audit",
      "envoy",
      "reach",
      "check",
      "doctor",
      "version",
      "completion",
      "help",
    ]
  `);
});

test("each shell's script asks for candidates by itself", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { stdout, exitCode } = await runCli({ words: ["completion", shell] });
    expect(exitCode).toBe(0);
    expect(stdout).toContain("__complete");
  }
});
