import type { Policy, Protocol } from "../../../model/index.ts";
import type { Greeting, Page } from "./ask-port.ts";
import type { CommandLine } from "./command-line.ts";
import type { Recognised } from "./found-port.ts";
import type { KnownProgram, PortFacts, PortRole } from "./known-program.ts";
import { KNOWN_PROGRAMS } from "./known-programs.ts";

/** Who listens on a port. */
export interface PortOwner {
  readonly port: number;
  readonly command: CommandLine;
  /** See `PortFacts`. */
  readonly spawned: boolean;
}

/** Ways to ask the port, each taken only where it is needed. */
export interface PortQuestions {
  /** Whether it accepts a connection. */
  open(): Promise<boolean>;
  /** null: it accepts none. */
  greet(): Promise<Greeting | null>;
  page(path: string): Promise<Page | null>;
}

/** What a port is; null while it does not answer, or while a known web server accepts connections and says nothing yet. */
export async function recognisePort(owner: PortOwner, ask: PortQuestions): Promise<Recognised | null> {
  const program = KNOWN_PROGRAMS.find((row) => row.command?.(owner.command) === true);
  if (program?.unasked === true) return (await ask.open()) ? unasked(program, owner) : null;
  if (program !== undefined && isAllPlumbing(program)) return hidden(program, "tcp");
  const greeting = await ask.greet();
  if (greeting === null) return null;
  const facts: PortFacts = { ...owner, ...greeting };
  return program === undefined ? recogniseByAnswer(facts, undefined, ask) : recogniseAs(program, facts, ask);
}

async function recogniseAs(program: KnownProgram, facts: PortFacts, ask: PortQuestions): Promise<Recognised | null> {
  const role = roleOf(program, facts);
  if (role === undefined && facts.silent && program.ports.some((port) => port.protocol === "http")) return null;
  if (role !== undefined && program.general !== true) return recognised(program, role, ask);
  return program.rest === "hidden" ? hidden(program, facts.speaks) : recogniseByAnswer(facts, program, ask);
}

async function recogniseByAnswer(
  facts: PortFacts,
  general: KnownProgram | undefined,
  ask: PortQuestions,
): Promise<Recognised> {
  const answering = await answeringProgram(facts, ask);
  const program = answering === undefined || answering.general === true ? (general ?? answering) : answering;
  if (program === undefined) return unknown(facts);
  const role = roleOf(program, facts);
  if (role !== undefined) return recognised(program, role, ask);
  return program.rest === "hidden" ? hidden(program, facts.speaks) : unknown(facts);
}

async function answeringProgram(facts: PortFacts, ask: PortQuestions): Promise<KnownProgram | undefined> {
  const page = facts.speaks === "http" ? await ask.page("/") : null;
  for (const row of KNOWN_PROGRAMS) {
    if (row.answer?.(facts, page) === true) return row;
    if (row.probe?.worth(facts, page) !== true) continue;
    const probed = await ask.page(row.probe.path);
    if (probed !== null && row.probe.page(probed)) return row;
  }
  return undefined;
}

/** A program that is expected to speak HTTP or gRPC keeps its name over TLS, where it can only be passed through. */
function roleOf(program: KnownProgram, facts: PortFacts): PortRole | undefined {
  const fitting = program.ports.filter((role) => role.when?.(facts) ?? true);
  const plain = fitting.find((role) => (role.speaks ?? role.protocol) === facts.speaks);
  if (plain !== undefined || facts.speaks !== "tls") return plain;
  const wrapped = fitting.find((role) => role.protocol === "http" || role.protocol === "grpc");
  return wrapped && { service: wrapped.service, protocol: "tls", hidden: wrapped.hidden ?? false };
}

function isAllPlumbing(program: KnownProgram): boolean {
  return program.ports.length === 0 && program.rest === "hidden";
}

async function recognised(program: KnownProgram, role: PortRole, ask: PortQuestions): Promise<Recognised> {
  const landingPath = role.landingPath ?? (await conditionalLanding(role, ask));
  const policy: Policy = role.rewriteHost === true ? { rewriteHost: true } : {};
  return {
    service: role.service,
    kind: program.kind,
    protocol: role.protocol,
    ...(landingPath !== undefined && { landingPath }),
    policy,
    hidden: role.hidden ?? false,
  };
}

async function conditionalLanding(role: PortRole, ask: PortQuestions): Promise<string | undefined> {
  if (role.landingIf === undefined) return undefined;
  const page = await ask.page(role.landingIf.path);
  return page?.status === 200 && role.landingIf.page(page) ? role.landingIf.path : undefined;
}

function unasked(program: KnownProgram, { port }: PortOwner): Recognised {
  const [role] = program.ports;
  const service = role?.service ?? unknownName(port);
  return { service, kind: program.kind, protocol: role?.protocol ?? "tcp", policy: {}, hidden: false };
}

function hidden(program: KnownProgram, protocol: Protocol): Recognised {
  return { service: program.id, kind: program.kind, protocol, policy: {}, hidden: true };
}

function unknown({ port, speaks }: PortFacts): Recognised {
  return { service: unknownName(port), kind: null, protocol: speaks, policy: {}, hidden: false };
}

function unknownName(port: number): string {
  return `port-${String(port)}`;
}
