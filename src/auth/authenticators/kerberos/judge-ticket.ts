import type { Verdict } from "./messages.ts";

/** What is used of the npm package `kerberos`: GSSAPI, off the thread that calls it. */
export interface Gssapi {
  initializeServer(service: string): Promise<GssServer>;
}

interface GssServer {
  /** The client's principal, once it is known. */
  readonly username: string | null;
  readonly contextComplete: boolean;
  step(ticket: string): Promise<string | null>;
}

/** Accepts one ticket (gss_accept_sec_context) with the keys that the keytab has now. Never throws: what fails is part of the verdict. */
export async function judgeTicket(gssapi: Gssapi, service: string, ticket: string): Promise<Verdict> {
  let server: GssServer;
  try {
    server = await gssapi.initializeServer(service);
  } catch (error) {
    return { kind: "unusable", reason: textOf(error) };
  }
  try {
    const answer = await server.step(ticket);
    const client = server.username;
    if (!server.contextComplete || client === null || client === "") {
      return { kind: "refused", reason: "a ticket that proves who somebody is in one step was expected" };
    }
    return { kind: "accepted", client, answer: answer === "" ? null : answer };
  } catch (error) {
    return verdictOf(textOf(error));
  }
}

/** Of the keytab, the replay cache and the machine: whoever sent the ticket can do nothing about them. */
const OURS =
  /replay cache|key table (file|name|type)|keytab (file|name)|permission denied|no space|read-only|input\/output|cannot allocate/i;

/** MIT's words (in C's locale), and what they mean to whoever sent the ticket. */
const REASONS: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/is a replay/i, "this ticket was shown before: each one is good for one request"],
  [/clock skew/i, "this ticket is of another time: it is old, or the clocks here and there differ too much"],
  [/expired/i, "this ticket has expired: log in to Kerberos again (kinit)"],
  [/not yet valid/i, "this ticket is not valid yet"],
  [/not found in keytab|wrong principal|no key table entry/i, "this ticket is for another service"],
  [/unsupported mechanism/i, "this is no Kerberos ticket: NTLM and others are not taken"],
];

function verdictOf(failure: string): Verdict {
  if (OURS.test(failure)) return { kind: "unusable", reason: failure };
  const reason = REASONS.find(([pattern]) => pattern.test(failure))?.[1] ?? "this is no good Kerberos ticket";
  return { kind: "refused", reason };
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
