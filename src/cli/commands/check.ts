import { formatConfigProblems } from "../../config/config-problem.ts";
import { loadConfig } from "../../config/load-config.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { providerLine } from "../provider-line.ts";
import { print, printable, printJson, type Terminal } from "../terminal.ts";

/** The file by itself: what the environment would add or hide does not count. A path is shown as it was given. */
export function check(
  terminal: Terminal,
  words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const [file = ""] = words;
  const { config, problems } = loadConfig({ file, environment: {} });
  if (options.json === true) printJson(terminal, { ok: config !== null, problems });
  else if (problems.length > 0) print(terminal, formatConfigProblems(problems));
  if (options.json !== true && config !== null) {
    print(terminal, `${file} is a good configuration`);
    for (const provider of config.providers) print(terminal, printable(providerLine(provider)));
  }
  return Promise.resolve(config === null ? EXIT.failure : EXIT.ok);
}
