import { Command, CommanderError, Option } from "commander";
import { resolve } from "node:path";
import {
  ACCESS,
  parseCount,
  parseDuration,
  parseLifetime,
  parseIdleStop,
  parsePolicy,
  parseService,
  parseWhen,
  PROTOCOLS,
} from "./arguments.ts";
import { collect, CONFIG_OPTION, type Declare, JSON_OPTION, type Work } from "./declare.ts";
import { declareEnvoy } from "./declare-envoy.ts";
import { declareTokens } from "./declare-tokens.ts";
import { EXIT, type ExitCode } from "./failure.ts";
import { AUDIT_KINDS, AUDIT_OUTCOMES } from "../model/audit.ts";
import { ownVersion } from "../platform/package-info.ts";
import type { Terminal } from "./terminal.ts";

/** The tree of all commands. What each one does is loaded when it is called: the others cost nothing. */
export interface Program {
  readonly tree: Command;
  /** Parses and runs. Throws `CommandFailure`, and what the operation threw. */
  run(words: readonly string[]): Promise<ExitCode>;
}

const GATE_OPTION = [
  "--gate <url>",
  "a gate elsewhere, once logged in there (default: TASKGATE_GATE, else the state folder's)",
] as const;

/** Commands that are of this machine, or name the gate by themselves. */
const HERE: ReadonlySet<string> = new Set([
  ...["up", "start", "stop", "run", "attach", "check", "doctor", "version", "completion", "__complete"],
  ...["login", "logout", "bootstrap"],
]);

/** Builds the tree for one call. */
export function createProgram(terminal: Terminal): Program {
  let exitCode: ExitCode = EXIT.ok;
  const tree = new Command("taskgate")
    .description("One gate to every network service that runs inside a job.")
    .version(`taskgate ${ownVersion()}`, "-V, --version")
    .enablePositionalOptions()
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError("  Try: the same with --help")
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, "taskgate: ")),
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => terminal.stdoutIsTty,
      getErrHasColors: () => terminal.stderrIsTty,
    });
  const declare: Declare = (name, description, load, { parent = tree, hidden = false } = {}) => {
    const command = parent.command(name, { hidden }).description(description);
    command.option("--home <dir>", "state folder (default: TASKGATE_HOME, else ~/.taskgate)");
    if (!HERE.has(name)) command.option(...GATE_OPTION);
    // commander calls with the arguments as declared, then the options, then the command.
    command.action(async () => {
      const { home, ...options } = command.opts<{ home?: string; gate?: string | boolean }>();
      const gate = HERE.has(name) || typeof options.gate !== "string" ? undefined : options.gate;
      const here = {
        ...terminal,
        ...(home !== undefined && { home: resolve(terminal.directory, home) }),
        ...(gate !== undefined && { environment: { ...terminal.environment, TASKGATE_GATE: gate } }),
      };
      exitCode = await (await load())(here, command.args, options as never);
    });
    return command;
  };
  declareGate(declare);
  declareRun(declare);
  declareTasks(declare);
  declareUse(declare);
  declareLogins(declare);
  declareSharing(declare);
  declareAdministration(declare, tree);
  return {
    tree,
    async run(words) {
      if (words.length === 0) {
        tree.outputHelp({ error: true });
        return EXIT.usage;
      }
      try {
        await tree.parseAsync([...words], { from: "user" });
        return exitCode;
      } catch (error) {
        if (!(error instanceof CommanderError)) throw error;
        return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      }
    },
  };
}

function declareGate(declare: Declare): void {
  const gateOptions = (command: Command): Command =>
    command
      .option("--listen <host:port>", "where the gate listens (default: 127.0.0.1:7080)")
      .addOption(
        new Option("--tls <how>", "serve TLS with certificates of an authority that the gate makes").choices(["local"]),
      )
      .addOption(
        new Option("--data-plane <which>", "what moves the bytes (default: embedded)").choices(["embedded", "envoy"]),
      )
      .option(...CONFIG_OPTION)
      .option("--set <key=value>", "set one key of the configuration; may be repeated", collect);
  gateOptions(
    declare("up", "start the gate, and print a login link", async () => (await import("./commands/up.ts")).up),
  )
    .option("--background", "leave the gate running in the background")
    .option("--quiet", "print no login link: standard output is a log, as in a container")
    .addOption(new Option("--detached", "be the gate in the background").hideHelp())
    .option(...JSON_OPTION)
    .addHelpText("after", "\nCtrl-C stops the gate and not the tasks: the next gate takes them in again.");
  gateOptions(
    declare("start", "up, with a small demo service", async () => (await import("./commands/start.ts")).start, {
      hidden: true,
    }),
  );
}

function declareRun(declare: Declare): void {
  declare(
    "run",
    "start a command behind the gate, and leave it running",
    async () => (await import("./commands/run.ts")).run,
  )
    .argument("<command...>", "the command and its arguments; after -- where they begin with a dash")
    .passThroughOptions()
    .option("--name <name>", "name of the task (default: after the program)")
    .option("--kind <kind>", "what it is, for people: notebook, spark (default: found out)")
    .option("--service <name=protocol[:port]>", "a service of it, such as web=http; may be repeated", collectService)
    .option("--replicas <n>", "how many of it", (text) => parseCount(text, "--replicas", { from: 1, to: 64 }), 1)
    .addOption(
      new Option("--restart <when>", "start it again when it ends")
        .choices(["no", "on-failure", "always"])
        .default("no"),
    )
    .addOption(accessOption())
    .option("--idle-stop <duration>", "stop it when nobody has used it for so long, or never", parseIdleStop)
    .option(
      "--policy <key=value>",
      "how its services are treated (repeatable): authorization=app, assertion=fresh, frame=ORIGIN, allowedOrigins=ORIGIN,ORIGIN",
      collectPolicy,
    )
    .option("--path <prefix>", "path on the path host too, such as /nb/")
    .option("--user <user>", "run it as this user of the machine")
    .option("--follow", "stay with its log; Ctrl-C leaves the task running")
    .addOption(
      new Option("--wait <duration>", "how long to wait until it is ready")
        .argParser((text) => parseDuration(text, "--wait"))
        .default(60_000, "60s"),
    )
    .option("--no-wait", "return as soon as it is accepted")
    .option(...JSON_OPTION);
}

function declareTasks(declare: Declare): void {
  declare(
    "attach",
    "take in a port of this machine that already listens",
    async () => (await import("./commands/attach.ts")).attach,
  )
    .argument("<port>", "the port on 127.0.0.1")
    .option("--name <name>", "name of the task (default: after the program that listens)")
    .option("--kind <kind>", "what it is, for people")
    .addOption(new Option("--protocol <protocol>", "what it speaks (default: found out)").choices([...PROTOCOLS]))
    .addOption(accessOption())
    .option("--path <prefix>", "path on the path host too, such as /nb/")
    .option(...JSON_OPTION);
  declare("ps", "list tasks and how to reach them", async () => (await import("./commands/ps.ts")).ps)
    .option("--watch", "stay, and show every change")
    .option(...JSON_OPTION);
  declare("stop", "stop tasks: politely, then not", async () => (await import("./commands/stop.ts")).stop)
    .argument("[tasks...]", "names of tasks")
    .option("--gate", "stop the gate itself; its tasks go on")
    .option(...JSON_OPTION);
  declare("restart", "stop tasks and start them again", async () => (await import("./commands/restart.ts")).restart)
    .argument("<tasks...>", "names of tasks")
    .option(...JSON_OPTION);
  declare(
    "rm",
    "remove tasks with their logs; those that run are stopped",
    async () => (await import("./commands/rm.ts")).rm,
  )
    .argument("<tasks...>", "names of tasks")
    .option(...JSON_OPTION);
}

function declareUse(declare: Declare): void {
  declare(
    "open",
    "open a service, or the gate's own page, in the browser",
    async () => (await import("./commands/open.ts")).open,
  )
    .argument("[target]", "NAME or NAME/SERVICE; none: the gate's page")
    .option("--print", "print the login link instead; it works once")
    .option(...JSON_OPTION);
  declare("logs", "print what a task has written", async () => (await import("./commands/logs.ts")).logs)
    .argument("<task>", "name of the task")
    .option("-f, --follow", "stay, and print what comes")
    .option("--tail <n>", "only the last lines", (text) => parseCount(text, "--tail", { from: 0, to: 1_000_000 }))
    .option("--replica <replica>", "only this replica");
  declare(
    "forward",
    "carry a service to a local port, with login",
    async () => (await import("./commands/forward.ts")).forward,
  )
    .argument("<targets...>", "NAME[/SERVICE] [LOCALPORT], or several NAME[/SERVICE]:LOCALPORT")
    .option("--stdio", "carry one connection over standard input and output, such as for ssh -o ProxyCommand")
    .option("--json", "print each local port as a line of JSON")
    .addHelpText(
      "after",
      "\nWithout LOCALPORT a free port is taken and printed. Ctrl-C ends it. It outlives restarts of the gate.",
    );
}

function declareSharing(declare: Declare): void {
  const recipients = (command: Command): Command =>
    command
      .option("--with <who>", "[user:|group:][REALM/]NAME, such as alice or group:ml; may be repeated", collect)
      .option("--authenticated", "everybody who logged in")
      .option("--public", "everybody, without login")
      .option("--service <service>", "of one service alone");
  recipients(
    declare(
      "share",
      "let others use a task; with nobody named, list who may",
      async () => (await import("./commands/share.ts")).share,
    ).argument("<task>", "name of the task"),
  )
    .option("--link", "whoever has a secret link, which is printed this once")
    .option("--for <duration>", "how long (default: as long as the gate allows)", (text) =>
      parseLifetime(text, "--for"),
    )
    .option("--history", "who changed what, and when")
    .option(...JSON_OPTION);
  recipients(
    declare(
      "unshare",
      "take back what was given; what it opened ends at once",
      async () => (await import("./commands/unshare.ts")).unshare,
    )
      .argument("<task>", "name of the task")
      .argument("[grants...]", "ids, as `share` lists them"),
  )
    .option("--links", "every link")
    .option("--all", "everything")
    .option(...JSON_OPTION);
}

function declareLogins(declare: Declare): void {
  declare("login", "log in to a gate elsewhere, by a browser", async () => (await import("./commands/login.ts")).login)
    .argument("[url]", "address of the gate (default: TASKGATE_GATE, else the one logged in to last)")
    .option("--ca <file>", "authority that the gate's certificate is of, PEM (default: the system's)")
    .option("--json", "print the code, then the login, each as a line of JSON")
    .addHelpText("after", "\nFrom then on, ps, open, forward and others are for that gate where none ever ran here.");
  declare("logout", "end the login to a gate elsewhere", async () => (await import("./commands/logout.ts")).logout)
    .argument("[url]", "address of the gate (default: TASKGATE_GATE, else the one logged in to last)")
    .option(...JSON_OPTION);
  declare(
    "whoami",
    "print whose login commands go by",
    async () => (await import("./commands/whoami.ts")).whoami,
  ).option(...JSON_OPTION);
}

function declareAdministration(declare: Declare, tree: Command): void {
  declareTokens(declare, tree);
  declareSessions(declare, tree);
  declareAudit(declare);
  declareEnvoy(declare, tree);
  declare(
    "reach",
    "how tasks elsewhere are reached, and how many more can be",
    async () => (await import("./commands/reach.ts")).reach,
  ).option(...JSON_OPTION);
  declare("check", "check a configuration file", async () => (await import("./commands/check.ts")).check)
    .argument("<file>", "YAML or JSON")
    .option(...JSON_OPTION);
  declare(
    "doctor",
    "look for what is wrong on this machine, and say what to do",
    async () => (await import("./commands/doctor.ts")).doctor,
  )
    .option(...CONFIG_OPTION)
    .option(...JSON_OPTION);
  declare(
    "version",
    "print the version of this program, and of the gate that runs",
    async () => (await import("./commands/version.ts")).version,
  ).option(...JSON_OPTION);
  declare(
    "completion",
    "print a script that completes commands and names",
    async () => (await import("./commands/completion.ts")).completion,
  ).addArgument(tree.createArgument("<shell>", "for which shell").choices(["bash", "zsh", "fish"]));
  const load = async (): Promise<Work> => {
    const { complete } = await import("./commands/complete.ts");
    return (terminal, words, options) => complete(terminal, tree, words, options);
  };
  declare("__complete", "candidates for the last of these words", load, { hidden: true })
    .argument("[words...]")
    .option("--split", "words are broken at = and :")
    .passThroughOptions();
}

function declareSessions(declare: Declare, tree: Command): void {
  const sessions = tree.command("sessions").description("sessions of browsers at services");
  declare("list", "list sessions", async () => (await import("./commands/sessions.ts")).listSessions, {
    parent: sessions,
  }).option(...JSON_OPTION);
  declare(
    "end",
    "end sessions, or all that somebody has, at once",
    async () => (await import("./commands/sessions.ts")).endSessions,
    { parent: sessions },
  )
    .argument("[sessions...]", "ids")
    .option("--user <who>", "logins, tokens and sessions of this user, [REALM/]NAME, and what is open of them")
    .option(...JSON_OPTION);
  const keys = tree.command("keys").description("keys that sign sessions and assertions");
  declare("list", "list the keys", async () => (await import("./commands/keys.ts")).listKeys, { parent: keys }).option(
    ...JSON_OPTION,
  );
  declare("rotate", "have them followed by new ones", async () => (await import("./commands/keys.ts")).rotateKeys, {
    parent: keys,
  }).option(...JSON_OPTION);
}

function declareAudit(declare: Declare): void {
  declare("audit", "print who did what, from where", async () => (await import("./commands/audit.ts")).audit)
    .option("--user <who>", "only what they did: NAME or REALM/NAME")
    .option("--task <task>", "only of this task")
    .option("--service <service>", "only of this service: its name, TASK/SERVICE or PROVIDER/TASK/SERVICE")
    .addOption(new Option("--kind <kind>", "only of this kind").choices([...AUDIT_KINDS]))
    .addOption(new Option("--outcome <outcome>", "only with this outcome").choices([...AUDIT_OUTCOMES]))
    .option("--since <when>", "from then on: 2h, or 2026-01-31T12:00 (default: 1d)", (text) =>
      parseWhen(text, "--since"),
    )
    .option("--until <when>", "before then, likewise", (text) => parseWhen(text, "--until"))
    .option("-f, --follow", "stay, and print what comes, through restarts of the gate")
    .option("--verify", "look whether each line follows from the one before, and print no lines")
    .option("--json", "print the lines as they are kept, one JSON object each");
}

function accessOption(): Option {
  return new Option("--access <who>", "who may come in beside you").choices(Object.keys(ACCESS)).default("owner");
}

function collectPolicy(text: string, before: PolicyOption | undefined): PolicyOption {
  return { ...before, ...parsePolicy(text) };
}

type PolicyOption = ReturnType<typeof parsePolicy>;

type ServiceOption = ReturnType<typeof parseService>;

function collectService(text: string, before: readonly ServiceOption[] | undefined): readonly ServiceOption[] {
  return [...(before ?? []), parseService(text)];
}
