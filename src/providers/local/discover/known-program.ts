import type { Protocol } from "../../../model/index.ts";
import type { Greeting, Page, Spoken } from "./ask-port.ts";
import type { CommandLine } from "./command-line.ts";

/** What is known of a port before its pages are asked for. */
export interface PortFacts extends Greeting {
  readonly port: number;
  readonly command: CommandLine;
  /** Python's multiprocessing made the process; `command` is that of whoever it works for. */
  readonly spawned: boolean;
}

/** What one kind of port of a program is. */
export interface PortRole {
  /** Name of the service. */
  readonly service: string;
  readonly protocol: Protocol;
  /** What such a port speaks; absent: its protocol. */
  readonly speaks?: Spoken;
  /** Only ports of which this holds. */
  readonly when?: (facts: PortFacts) => boolean;
  readonly landingPath?: string;
  /** A landing path that not every such program has: taken where a GET of it answers so. */
  readonly landingIf?: { readonly path: string; readonly page: (page: Page) => boolean };
  /** The stock program refuses a Host or Origin that is not its own address. */
  readonly rewriteHost?: boolean;
  /** Internal plumbing, no service. */
  readonly hidden?: boolean;
}

/** One row of the table of known programs. */
export interface KnownProgram {
  /** Stable; names the files of its recorded cases. */
  readonly id: string;
  /** Kind of a task that serves it. */
  readonly kind: string | null;
  /** Whether a command line is this program. */
  readonly command?: (command: CommandLine) => boolean;
  /** Whether an answer is this program's, for ports whose command line does not tell. `page` is that of `GET /`. */
  readonly answer?: (facts: PortFacts, page: Page | null) => boolean;
  /** A further page, asked for where it is worth it, that tells by itself. */
  readonly probe?: {
    readonly path: string;
    readonly worth: (facts: PortFacts, page: Page | null) => boolean;
    readonly page: (page: Page) => boolean;
  };
  /** The first that fits the port is it. */
  readonly ports: readonly PortRole[];
  /** What ports are that fit no role: plumbing, or anything (a notebook's kernel may serve whatever its user starts). */
  readonly rest: "hidden" | "anything";
  /** Serves other people's applications: what answers there tells more than the command line. */
  readonly general?: true;
  /** Never asked, only connected to: stray bytes there are logged, counted against the caller or taken for commands. */
  readonly unasked?: true;
}

type RoleDetails = Omit<PortRole, "service" | "protocol">;

/** A server of web pages. It may run its user's code, so its other ports may be anything, unless `rest` says otherwise. */
export type WebProgram = Pick<KnownProgram, "id" | "kind" | "command" | "answer" | "general"> & {
  readonly rest?: "hidden";
  /** Absent: `id`. */
  readonly service?: string;
} & RoleDetails;

/** A row for a server of web pages. */
export function web(row: WebProgram): KnownProgram {
  const { id, kind, command, answer, general, rest, service, ...details } = row;
  return {
    id,
    kind,
    ...(command && { command }),
    ...(answer && { answer }),
    ...(general && { general }),
    ports: [role("http", service ?? id, details)],
    rest: rest ?? "anything",
  };
}

/** A process all of whose ports are another program's plumbing. */
export function plumbing(id: string, command: (command: CommandLine) => boolean): KnownProgram {
  return { id, kind: null, command, ports: [], rest: "hidden" };
}

/** A server with one TCP protocol of its own, and a login of its own. */
export function database(id: string, command: (command: CommandLine) => boolean): KnownProgram {
  return { id, kind: "database", command, ports: [role("tcp", id)], rest: "hidden", unasked: true };
}

/** A kind of port; `details` say what is not usual about it. */
export function role(protocol: Protocol, service: string, details: RoleDetails = {}): PortRole {
  return { protocol, service, ...details };
}

/** By name to the letter, or by a pattern over the whole path or module. */
export function runs(...programs: readonly (string | RegExp)[]) {
  return (command: CommandLine): boolean =>
    programs.some((program) =>
      typeof program === "string" ? command.name === program : program.test(command.program),
    );
}

/** A program with one of these words as its first argument that is no option: `mlflow ui`. */
export function runsSubcommand(name: string, ...words: readonly string[]) {
  return (command: CommandLine): boolean => {
    const first = command.args.find((arg) => !arg.startsWith("-"));
    return command.name === name && first !== undefined && words.includes(first);
  };
}

/** A server of Python applications that serves this one: `uvicorn … prefect.server.api.server:create_app`. */
export function servesApplication(application: RegExp) {
  return (command: CommandLine): boolean =>
    ["uvicorn", "gunicorn"].includes(command.name) && command.args.some((arg) => application.test(arg));
}

/** Any of several tests of a command line. */
export function either(...tests: readonly ((command: CommandLine) => boolean)[]) {
  return (command: CommandLine): boolean => tests.some((test) => test(command));
}

/** The port is the value of one of these options (`--port 7077`, `--port=7077`), or this one where the option is absent. */
export function onPort(usual: number, ...options: readonly string[]) {
  return ({ port, command }: PortFacts): boolean => {
    const at = command.args.findIndex((arg) => options.includes(arg.split("=")[0] ?? ""));
    if (at < 0) return port === usual;
    const [, value = command.args[at + 1]] = (command.args[at] ?? "").split("=");
    return port === Number(value);
  };
}

/** An answer with such a header (its name in lower case). */
export function headed(header: string, pattern: RegExp) {
  return (_facts: PortFacts, page: Page | null): boolean => page !== null && pattern.test(page.headers[header] ?? "");
}

/** An answer with such a body. */
export function shows(pattern: RegExp) {
  return (_facts: PortFacts, page: Page | null): boolean => page !== null && pattern.test(page.body);
}
