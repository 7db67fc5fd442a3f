import { expect, test } from "vitest";
import { type Gssapi, judgeTicket } from "./judge-ticket.ts";

/** What MIT's library (1.20) says, as the npm package hands it on. */
const GSS = "Unspecified GSS failure.  Minor code may provide more information: ";

function saying(failure: string, at: "init" | "step" = "step"): Gssapi {
  const fail = () => Promise.reject(new Error(failure));
  const server = { username: null, contextComplete: false, step: fail };
  return { initializeServer: () => (at === "init" ? fail() : Promise.resolve(server)) };
}

const judge = (gssapi: Gssapi) => judgeTicket(gssapi, "HTTP@gate.example.com", "AAAA");

test.each([
  ["Request is a replay", "shown before"],
  ["Clock skew too great", "of another time"],
  ["Ticket expired", "has expired"],
  ["Ticket not yet valid", "not valid yet"],
  ["Request ticket server HTTP/x@Y not found in keytab (ticket kvno 1)", "for another service"],
  ["Decrypt integrity check failed", "no good Kerberos ticket"],
])("%s: the ticket is refused", async (failure, reason) => {
  expect(await judge(saying(GSS + failure))).toEqual({
    kind: "refused",
    reason: expect.stringContaining(reason) as string,
  });
});

test.each([
  "Key table file '/etc/gate.keytab' not found",
  "Permission denied in replay cache code",
  "No space left on device in replay cache code",
  "Replay cache I/O operation failed XXX",
  "Cannot allocate memory",
])("%s: nobody can say", async (failure) => {
  expect(await judge(saying(GSS + failure))).toMatchObject({ kind: "unusable" });
  expect(await judge(saying(failure, "init"))).toMatchObject({ kind: "unusable" });
});

test("a ticket that proves nothing in one step is refused", async () => {
  for (const [username, contextComplete] of [
    ["alice@EXAMPLE.COM", false],
    [null, true],
    ["", true],
  ] as const) {
    const server = { username, contextComplete, step: () => Promise.resolve("more") };
    expect(await judge({ initializeServer: () => Promise.resolve(server) })).toMatchObject({ kind: "refused" });
  }
});
