import { createInterface } from "node:readline";
import type { AuditLine } from "../../model/index.ts";
import type { ApiClient } from "../api-client.ts";
import { formatAuditLine } from "../audit-text.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { pause } from "../pause.ts";
import { connect } from "../session.ts";
import { colorsFor, note, print, printable, printJson, type Terminal } from "../terminal.ts";

export interface AuditOptions {
  readonly user?: string;
  readonly task?: string;
  readonly service?: string;
  readonly kind?: string;
  readonly outcome?: string;
  /** Epoch ms. */
  readonly since?: number;
  readonly until?: number;
  readonly follow?: boolean;
  readonly verify?: boolean;
  readonly json?: boolean;
}

const DAY_MS = 86_400_000;
const AGAIN_MS = 1000;
/** Lines of one moment that are told apart when a follower comes back. */
const MOST_REMEMBERED = 10_000;

/** Prints what is on record; with `follow` until Ctrl-C, whatever becomes of the gate meanwhile. */
export async function audit(terminal: Terminal, _words: readonly string[], options: AuditOptions): Promise<ExitCode> {
  if (options.verify === true) return verify(terminal, options);
  const show = printer(terminal, options);
  const from = options.since ?? Date.now() - DAY_MS;
  if (options.follow !== true) {
    for await (const sent of linesOf(connect(terminal), queryOf(options, from), terminal.signal)) show(sent);
    return EXIT.ok;
  }
  await follow(terminal, options, { from, show });
  return EXIT.ok;
}

interface Showing {
  readonly from: number;
  readonly show: (sent: Sent) => void;
}

async function follow(terminal: Terminal, options: AuditOptions, { from, show }: Showing): Promise<void> {
  const seen = new Set<string>();
  let since = from;
  let away = false;
  const left = (): boolean => terminal.signal.aborted;
  while (!left()) {
    try {
      const query = { ...queryOf(options, since), follow: "true" };
      for await (const sent of linesOf(connect(terminal), query, terminal.signal)) {
        const { line } = sent;
        away = false;
        if (seen.has(line.chain)) continue;
        const at = Date.parse(line.time);
        if (at > since || seen.size >= MOST_REMEMBERED) seen.clear();
        since = Math.max(since, at);
        seen.add(line.chain);
        show(sent);
      }
    } catch (error) {
      if (left()) return;
      if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.noGate) throw error;
    }
    if (!away) note(terminal, "taskgate: the gate is away; waiting for it");
    away = true;
    await pause(AGAIN_MS, terminal.signal).catch(() => undefined); // Ctrl-C is how it ends
  }
}

/** As it was sent, where everything that steers a terminal is escaped, and what it says. */
interface Sent {
  readonly text: string;
  readonly line: AuditLine;
}

/** Throws `CommandFailure`; of a connection that breaks, with `EXIT.noGate`. */
async function* linesOf(
  client: ApiClient,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): AsyncGenerator<Sent> {
  const answer = await client.audit(query, signal);
  try {
    for await (const text of createInterface({ input: answer, crlfDelay: Infinity })) {
      yield { text, line: JSON.parse(text) as AuditLine };
    }
    if (!answer.complete) throw new Error("cut");
  } catch (cause) {
    if (signal.aborted) return;
    throw new CommandFailure(EXIT.noGate, "the gate ended the connection before the audit log did", { cause });
  } finally {
    answer.destroy();
  }
}

function queryOf({ user, task, service, kind, outcome, until }: AuditOptions, since: number): Record<string, string> {
  const all = {
    user,
    task,
    service,
    kind,
    outcome,
    since: String(since),
    until: until === undefined ? undefined : String(until),
  };
  return Object.fromEntries(Object.entries(all).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

function printer(terminal: Terminal, { json }: AuditOptions): (sent: Sent) => void {
  if (json === true) return ({ text }) => print(terminal, text);
  const colors = colorsFor(terminal, "stdout");
  return ({ line }) => print(terminal, formatAuditLine(line, colors));
}

async function verify(terminal: Terminal, { json }: AuditOptions): Promise<ExitCode> {
  const found = await connect(terminal).checkAudit(terminal.signal);
  const whole = found.broken.length === 0;
  if (json === true) printJson(terminal, found);
  else {
    const size = `${String(found.lines)} lines in ${String(found.files)} files`;
    print(terminal, whole ? `${size}: each follows from the one before. Last link: ${found.last ?? "none"}` : size);
    for (const { file, line } of found.broken) {
      print(terminal, `${printable(file)}:${String(line)} does not follow from the line before`);
    }
  }
  return whole ? EXIT.ok : EXIT.failure;
}
