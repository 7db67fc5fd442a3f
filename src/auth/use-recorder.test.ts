import { beforeEach, describe, expect, test } from "vitest";
import type { AuditDetail, AuditEntry, Session, Use } from "../model/index.ts";
import { createManualClock, type ManualClock } from "../store/testing/manual-clock.ts";
import { hostRoute, OWNER, START, startAuthKit } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";
import { startUseRecorder, type UseRecorder } from "./use-recorder.ts";

const MINUTE = 60_000;
const DETAIL: AuditDetail = { detail: "visits", visitIdleMs: 5 * MINUTE, streamMs: 10_000 };
const ROUTE = hostRoute("nb.localhost", "local/nb/web");

let clock: ManualClock;
let told: AuditEntry[];
let recorder: UseRecorder;
beforeEach(() => begin());

function begin(detail: Partial<AuditDetail> = {}): void {
  clock = createManualClock(START);
  told = [];
  recorder = startUseRecorder({
    clock,
    activity: { opened: () => null },
    sink: { record: (entry) => told.push(entry) },
    detail: { ...DETAIL, ...detail },
  });
}

function sessionOf(id = "login1.abc"): Session {
  const principal = { ...OWNER, name: "alice" };
  return { id, principal, proof: "corp", service: ROUTE.service, expiresAt: Infinity, renewAt: Infinity };
}

function makeUse(more: Partial<Use> = {}): Use {
  const head = makeHead({ host: "nb.localhost", path: "/api/x?token=secret" });
  const figures = { bytesIn: 1, bytesOut: 10, status: 200, code: null, largestIn: 0, cutFor: null };
  return { kind: "http", peer: "192.0.2.7", head, session: sessionOf(), ...figures, ...more };
}

function pass(use: Use, lastingMs = 5): void {
  const recorded = recorder.opened(use, ROUTE);
  clock.advance(lastingMs);
  if (recorded !== null) recorder.closed(use, ROUTE, recorded);
}

describe("requests that are alike", () => {
  test("are told of as one visit, by its start and, after silence, its end", () => {
    for (let at = 0; at < 100; at += 1) pass(makeUse({ status: at === 7 ? 500 : 200 }));
    expect(told).toHaveLength(1);
    clock.advance(6 * MINUTE);
    const same = {
      kind: "http",
      outcome: "allowed",
      user: "alice",
      realm: "local",
      proof: "corp",
      credential: "login1",
    };
    const where = { service: "local/nb/web", task: "local/nb", peer: "192.0.2.7", route: ROUTE.id, id: told[0]?.id };
    expect(told[0]).toMatchObject({ ...same, ...where, event: "start", start: START });
    const figures = { requests: 100, errors: 1, bytesIn: 100, bytesOut: 1000 };
    expect(told[1]).toMatchObject({ ...same, ...where, event: "end", start: START, end: START + 500, ...figures });
    expect(told).toHaveLength(2);
    expect(JSON.stringify(told)).not.toContain("secret");
  });

  test("are of another visit from another address, in another session, or of another kind", () => {
    pass(makeUse());
    pass(makeUse({ peer: "192.0.2.8" }));
    pass(makeUse({ session: sessionOf("login2.abc") }));
    pass(makeUse({ session: null }));
    pass(makeUse({ kind: "grpc" }));
    pass(makeUse());
    expect(told.map(({ event }) => event)).toEqual(["start", "start", "start", "start", "start"]);
  });

  test("are one visit while one of them goes on, and in parts of an hour", () => {
    const recorded = recorder.opened(makeUse(), ROUTE)!;
    clock.advance(30 * MINUTE);
    expect(told).toHaveLength(1);
    clock.advance(31 * MINUTE);
    expect(told.map(({ event }) => event)).toEqual(["start", "end"]);
    recorder.closed(makeUse(), ROUTE, recorded);
    expect(told[2]).toMatchObject({ event: "once", start: START, bytesOut: 10 });
  });

  test("have entries of their own where they last, and where they were cut", () => {
    pass(makeUse(), 10_000);
    expect(told[1]).toMatchObject({ event: "once", path: "/api/x?", start: START, end: START + 10_000, status: 200 });
    pass(makeUse({ cutFor: "revoked" }));
    expect(told[2]).toMatchObject({ event: "once", outcome: "cut", code: "revoked" });
  });

  test("are each told of where that is wanted", () => {
    begin({ detail: "requests" });
    pass(makeUse());
    pass(makeUse({ status: 502, code: "connect_failed" }));
    expect(told).toMatchObject([
      { event: "once", outcome: "allowed", method: "GET", path: "/api/x?", status: 200 },
      { event: "once", outcome: "failed", code: "connect_failed" },
    ]);
  });

  test("never take more memory than ten thousand visits do, and lose none", () => {
    for (let at = 0; at < 10_050; at += 1) pass(makeUse({ peer: `peer-${String(at)}` }), 0);
    expect(told.filter(({ event }) => event === "end")).toHaveLength(50);
    recorder[Symbol.dispose]();
    expect(told.filter(({ event }) => event === "end")).toHaveLength(10_050);
  });
});

describe("what lasts", () => {
  test.each(["websocket", "forward", "tcp", "tls"] as const)("is told of as it begins and as it ends: %s", (kind) => {
    const use = { ...makeUse({ kind }), status: 101 };
    const recorded = recorder.opened(use, ROUTE)!;
    expect(told).toMatchObject([{ kind, event: "start", outcome: "allowed", start: START, path: "/api/x?" }]);
    clock.advance(MINUTE);
    recorder.closed({ ...use, cutFor: "access_lost", bytesIn: 5 }, ROUTE, recorded);
    const cut = { event: "end", outcome: "cut", code: "access_lost", end: START + MINUTE, bytesIn: 5 };
    expect(told[1]).toMatchObject({ ...cut, id: told[0]?.id });
  });

  test("is on no record where it is the gate's own page", () => {
    const own = hostRoute("taskgate.localhost", "gate/taskgate/api");
    expect(recorder.opened(makeUse(), own)).toBeNull();
  });
});

describe("refusals", () => {
  const refused = { status: 403, code: "denied" };

  test("are told of at once, and those like them as a number a minute later", () => {
    for (let at = 0; at < 1000; at += 1) recorder.refused(makeUse(refused), ROUTE);
    expect(told).toMatchObject([{ event: "once", outcome: "refused", code: "denied", user: "alice", requests: 1 }]);
    clock.advance(2 * MINUTE);
    expect(told[1]).toMatchObject({ event: "once", outcome: "refused", code: "denied", user: "alice", requests: 999 });
    clock.advance(10 * MINUTE);
    expect(told).toHaveLength(2);
  });

  test("are one line for whatever a stranger makes up, from wherever in their network", () => {
    for (let at = 0; at < 1000; at += 1) {
      const head = makeHead({ host: `made-up-${String(at)}.localhost`, path: `/${String(at)}` });
      const peer = `2001:db8::${at.toString(16)}`;
      recorder.refused(makeUse({ status: 404, code: "unknown_host", session: null, head, peer }), null);
    }
    expect(told).toHaveLength(1);
  });

  test("are told of though nobody knows who it was, or what they wanted", () => {
    recorder.refused(makeUse({ status: 404, code: "unknown_host", session: null }), null);
    recorder.refused(makeUse({ status: 400, code: "bad_request", session: null, head: null }), null);
    recorder.refused(makeUse({ status: 503, code: "unavailable", session: null }), ROUTE);
    expect(told).toMatchObject([
      { outcome: "refused", code: "unknown_host", host: "nb.localhost", peer: "192.0.2.7" },
      { outcome: "refused", code: "bad_request", peer: "192.0.2.7" },
      { outcome: "failed", code: "unavailable", service: "local/nb/web" },
    ]);
  });
});

test("lets nobody new in while a required log cannot be written", async () => {
  const sink = { record: () => undefined, blocked: true };
  await using kit = await startAuthKit({ table: [ROUTE], audit: { sink, detail: DETAIL } });
  const { token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER });
  const head = makeHead({ host: "nb.localhost", headers: { authorization: `Bearer ${token}` } });
  const signal = new AbortController().signal;
  const refused = { kind: "deny", status: 503, code: "unavailable" };
  expect(await kit.auth.gatekeeper.admit(ROUTE, head, signal)).toMatchObject(refused);
  sink.blocked = false;
  expect(await kit.auth.gatekeeper.admit(ROUTE, head, signal)).toMatchObject({ kind: "allow" });
  sink.blocked = true;
  expect(kit.auth.gatekeeper.check(ROUTE, head)).toMatchObject({ kind: "allow" });
});
