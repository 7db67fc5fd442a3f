import type { Command } from "commander";
import { PassThrough } from "node:stream";
import { createProgram } from "./program.ts";

/** Columns that help is wrapped at. */
const COLUMNS = 100;

const HEAD = `# Command line

<!-- Generated from src/cli/program.ts by npm run generate. -->

The command line is a client of the gate's REST API, and starts gates. Every command takes \`--home\`, and \`--help\` says the same as this page.

What was asked for is on standard output, everything else on standard error: with \`--json\`, standard output is JSON and nothing else.
Colours and progress are shown only where somebody looks, and no colours with \`NO_COLOR\`.

## Exit codes

| Code | Meaning                                                                |
| ---- | ---------------------------------------------------------------------- |
| 0    | It is done.                                                            |
| 1    | It failed: the task ended in failure, the file has problems, and so on |
| 2    | The command line is wrong.                                             |
| 3    | There is no such task, service or token.                               |
| 4    | No gate runs for this state folder, or it does not answer.             |
| 5    | Not logged in, or not allowed.                                         |
| 130  | Stopped by Ctrl-C before it was done.                                  |

Of several names (\`stop a b c\`) each is tried, and the code is that of the first that failed.

## Environment

| Variable          | Meaning                                                                                        |
| ----------------- | ---------------------------------------------------------------------------------------------- |
| \`TASKGATE_HOME\`   | The state folder; default \`~/.taskgate\`. \`--home\` comes first.                                 |
| \`TASKGATE_TOKEN\`  | The login to use instead of the state folder's \`token\`. Tasks never get it.                    |
| \`TASKGATE_CONFIG\` | The configuration file where no \`--config\` is given.                                           |
| \`TASKGATE_ENVOY\`  | The program of the Envoy data plane where \`envoy.program\` names none.                          |
| \`TASKGATE_…\`      | Each key of the configuration by its own variable: [config.md](config.md). |
| \`BROWSER\`         | What \`taskgate open\` opens pages with.                                                         |
| \`NO_COLOR\`        | No colours.                                                                                    |

## Commands
`;

/** The page docs/generated/cli.md: every command with its help, from the tree itself. */
export function cliReference(): string {
  const { tree } = createProgram({
    environment: {},
    directory: "/",
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    stdoutIsTty: false,
    stderrIsTty: false,
    columns: COLUMNS,
    signal: new AbortController().signal,
  });
  return `${HEAD}\n${leaves(tree).map(sectionOf).join("\n")}`;
}

/** Commands that do something: of `token`, its verbs. */
function leaves(command: Command): Command[] {
  const shown = command
    .createHelp()
    .visibleCommands(command)
    .filter((each) => each.name() !== "help");
  return shown.flatMap((each) => (each.commands.length === 0 ? [each] : leaves(each)));
}

function sectionOf(command: Command): string {
  const names = [command.name()];
  for (let above = command.parent; above?.parent != null; above = above.parent) names.unshift(above.name());
  let text = "";
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return `### taskgate ${names.join(" ")}\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`;
}
