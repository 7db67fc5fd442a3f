import { expect, test } from "vitest";
import type { Session } from "../../../model/index.ts";
import { requestFacts } from "./testing/log-entry.ts";
import { claimsIn, WhoCame } from "./who-came.ts";

const CLAIMS = { sid: "login.session", iat: 1795338555, sub: "alice" };
const SESSION = { id: "login.session" } as Session;

function shownBy(tags: Readonly<Record<string, string>>) {
  const filterMetadata = { "envoy.filters.http.jwt_authn": { session: CLAIMS }, other: { x: 1 } };
  const facts = requestFacts({ common: { customTags: tags, metadata: { filterMetadata } } });
  return { tags: facts.tags, claims: () => claimsIn(facts.metadata) };
}

test("knows a session that Envoy let pass, reading its claims once", () => {
  const read: unknown[] = [];
  const who = new WhoCame({
    decided: () => undefined,
    routeOfId: () => undefined,
    sessionOf: (claims) => (read.push(claims), SESSION),
  });
  const tags = { s: "login.session", i: "1795338555", p: "a-session" };
  expect(who.session(shownBy(tags))).toBe(SESSION);
  expect(who.session(shownBy(tags))).toBe(SESSION);
  expect(read).toEqual([CLAIMS]);
  who.session(shownBy({ ...tags, i: "1795338556", p: "b-due" }));
  expect(read).toHaveLength(2);
});

test("knows who was known to Envoy, by the claims that it repeats", () => {
  const read: unknown[] = [];
  const who = new WhoCame({
    decided: () => undefined,
    routeOfId: () => undefined,
    sessionOf: (claims) => (read.push(claims), claims === null ? null : SESSION),
  });
  const k = Buffer.from(JSON.stringify(CLAIMS)).toString("base64url");
  expect([who.session(shownBy({ k })), who.session(shownBy({ k }))]).toEqual([SESSION, SESSION]);
  expect(read).toEqual([CLAIMS]);
  expect(who.session(shownBy({ k: "e30x" }))).toBeNull();
});

test("believes no session by which Envoy did not let anybody pass: the gate's decision counts, or that everybody may", () => {
  const who = new WhoCame({ decided: () => undefined, routeOfId: () => undefined, sessionOf: () => SESSION });
  const shown = { s: "login.session", i: "1795338555" };
  expect(who.session(shownBy(shown))).toBeNull();
  expect(who.session(shownBy({ ...shown, p: "c-public" }))).toBeNull();
  expect(who.session(shownBy({ ...shown, p: "a-session", u: "forgotten" }))).toBeNull();
});

test("knows nobody by claims that are none, or of nobody who is there any more", () => {
  const who = new WhoCame({ decided: () => undefined, routeOfId: () => undefined, sessionOf: () => null });
  expect(who.session(shownBy({ s: "x", i: "1", p: "a-session" }))).toBeNull();
});
