import { basename } from "node:path";

/** A command line, read as people read it. */
export interface CommandLine {
  readonly argv: readonly string[];
  /**
   * What runs, in lower case, the most telling first: `jupyter-lab` of `python3 /venv/bin/jupyter-lab`, `uvicorn` of `python -m uvicorn`,
   * `vite` of `node node_modules/.bin/vite`, the main class of `java`, the first word of a process that renamed itself.
   */
  readonly name: string;
  /** Path or module as given: `/venv/bin/jupyter-lab`, `distributed.cli.dask_scheduler`. */
  readonly program: string;
  /** What follows the program. */
  readonly args: readonly string[];
}

interface Interpreter {
  readonly program: RegExp;
  /** Options that take the next argument as their value. */
  readonly valued: readonly string[];
  /** The option that says what runs, and how. */
  readonly runs: RegExp;
}

const INTERPRETERS: readonly Interpreter[] = [
  {
    program: /^(python|pypy)[\d.]*$/,
    valued: ["-W", "-X", "--check-hash-based-pycs"],
    runs: /^-[A-Za-z]*[mc]$/,
  },
  {
    program: /^(node|nodejs|bun|deno)$/,
    valued: ["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions", "--env-file"],
    runs: /^(-e|--eval|-p|--print)$/,
  },
  {
    program: /^java$/,
    valued: [
      "-cp",
      "-classpath",
      "--class-path",
      "-p",
      "--module-path",
      "--add-opens",
      "--add-exports",
      "--add-modules",
    ],
    runs: /^-jar$/,
  },
  { program: /^(sh|bash|dash|zsh|ksh|ruby|perl|Rscript)$/, valued: ["-o", "+o"], runs: /^-[a-z]*[ce]$/ },
];

/** Reads argv; never throws. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const [first = "", ...rest] = retitled(argv);
  const interpreter = INTERPRETERS.find((candidate) => candidate.program.test(basename(first)));
  if (interpreter === undefined) return commandLine(argv, first, rest);
  const at = firstTelling(rest, interpreter);
  const telling = rest[at];
  if (telling === undefined) return commandLine(argv, first, rest);
  if (!interpreter.runs.test(telling)) return commandLine(argv, telling, rest.slice(at + 1));
  const named = telling === "-jar" || telling.endsWith("m");
  return named ? commandLine(argv, rest[at + 1] ?? "", rest.slice(at + 2)) : commandLine(argv, first, rest.slice(at));
}

/** A process that renames itself has its whole title as argv[0]: `sshd: /usr/sbin/sshd -D`, `gunicorn: master [app:app]`. */
function retitled(argv: readonly string[]): readonly string[] {
  return argv.length === 1 ? (argv[0] ?? "").split(" ") : argv;
}

/** Index of the first argument that says what runs: a script, a class, or an option that introduces it. */
function firstTelling(args: readonly string[], interpreter: Interpreter): number {
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-") || interpreter.runs.test(arg)) return at;
    if (interpreter.valued.includes(arg)) at += 1;
  }
  return args.length;
}

function commandLine(argv: readonly string[], program: string, args: readonly string[]): CommandLine {
  const name = basename(program)
    .replace(/\.(py|js|mjs|cjs|sh|exe|jar)$/, "")
    .replace(/:$/, "")
    .toLowerCase();
  return { argv, name, program, args };
}
