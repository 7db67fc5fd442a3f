import { expect, test } from "vitest";
import { LoginConfig } from "../config/schema.ts";
import { fingerprintOf, type Principal, type Route } from "../model/index.ts";
import { parseClaims, writeClaims, type SessionClaims } from "./session-claims.ts";
import { createStamps } from "./stamps.ts";
import { hostRoute, OWNER, START, startAuthKit } from "./testing/auth-kit.ts";

const ZOE: Principal = { realm: "corp", name: "Zoë, 50%", groups: [{ realm: "corp", name: "data" }], admin: false };
const BY = { realm: OWNER.realm, name: OWNER.name };
const HOST = "nb.localhost";
const IAT = START / 1000;
const CLAIMS: SessionClaims = {
  ...{ aud: "gate:local/nb/web", realm: "corp", sub: ZOE.name, adm: false, sid: "abcdefghijkl.0123456789abcdef", host: HOST },
  ...{ iat: IAT, exp: IAT + 3600, amr: "hub", ast: "a.b.c" },
}; // prettier-ignore

function route(access: Partial<Route["access"]>, more: Partial<Route> = {}): Route {
  return hostRoute(HOST, "local/nb/web", { access: { grants: [], anyone: "nobody", ...access }, ...more });
}

function stamp(of: Route, principal: Principal = ZOE) {
  return createStamps(() => 0).of({ claims: CLAIMS, principal, renewAt: START + 1_800_000 }, of);
}

test("says who it is of, what by, and until when that holds", () => {
  const granted = route({ grants: [{ to: { group: { realm: "corp", name: "data" } }, by: BY }] });
  expect(stamp(granted)).toEqual({
    ...{ fp: fingerprintOf(granted), rnw: IAT + 1800, per: IAT + 3600 },
    ...{ xu: "corp/Zo%C3%AB%2C%2050%25", xg: "corp/data" },
  });
});

test.each<[string, Route, number, number]>([
  ["a grant with an end", route({ grants: [{ to: ZOE, by: BY, until: START + 60_000 }] }), 60, 60],
  ["the longer one of two grants", route({ grants: [{ to: ZOE, by: BY, until: START + 60_000 }, { to: ZOE, by: BY, until: START + 90_000 }] }), 90, 90], // prettier-ignore
  ["an authority", route({ authority: { name: "a", resource: "r", action: "use", epoch: "1" } }), 10, 10],
  ["fresh assertions", route({ anyone: "authenticated" }, { policy: { assertion: "fresh" } }), 40, 3600],
])("ends, or is renewed, with %s", (_what, of, rnw, per) => {
  expect(stamp(of)).toMatchObject({ rnw: IAT + rnw, per: IAT + per });
});

test.each<[string, Route, Principal]>([
  ["whose authority is asked about each request", route({ authority: { name: "a", resource: "r", action: "use", epoch: "1" } }, { policy: { writeAction: "write" } }), ZOE], // prettier-ignore
  ["on a host of many", route({}, { match: { by: "path", listener: "web", host: HOST, prefix: "/nb/", strip: false } }), ZOE], // prettier-ignore
  ["with a guard of its own", route({}, { guard: "self" }), ZOE],
  ["that speaks no HTTP", route({}, { protocol: "tcp" }), ZOE],
  [
    "of who came with a limited credential",
    route({ anyone: "authenticated" }),
    { ...ZOE, scope: { actions: ["connect"] } },
  ],
])("there is none for a service %s", (_what, of, principal) => {
  // prettier-ignore
  expect(stamp(of, principal)).toBeNull();
});

test("a session is renewed once its stamp is not of today's rules, or of before a moment", () => {
  const before = route({ anyone: "authenticated" });
  const session = {
    ...{ id: "x.y", principal: ZOE, service: "local/nb/web", assertion: "a.b.c" },
    ...{ issuedAt: START, expiresAt: START + 3_600_000, renewAt: START + 1_800_000 },
  };
  const stamped = { ...session, fingerprint: fingerprintOf(before) };
  let asked = 0;
  const stamps = createStamps(() => asked);
  expect(stamps.renewalOf(stamped, before)).toBe(session.renewAt);
  expect(stamps.renewalOf(session, before)).toBe(0);
  expect(stamps.renewalOf(stamped, route({}))).toBe(0);
  expect(stamps.renewalOf({ ...session, assertion: "" }, before)).toBe(session.renewAt);
  asked = START;
  expect(stamps.renewalOf(stamped, before)).toBe(0);
});

test("claims are read as they were written, and nothing else is", () => {
  const stamped = { ...CLAIMS, ...stamp(route({ anyone: "authenticated" })) };
  for (const claims of [CLAIMS, stamped]) expect(parseClaims(writeClaims(claims))).toEqual(claims);
  const written = JSON.parse(writeClaims(stamped)) as { own: string };
  expect(Object.keys(written)).not.toContain("adm");
  for (const own of [
    "",
    "null",
    "[]",
    "{}",
    '{"exp":9}',
    JSON.stringify({ ...JSON.parse(written.own), exp: 9e9 }),
    JSON.stringify({ ...JSON.parse(written.own), __proto__: 1, more: 1 }),
  ]) {
    // prettier-ignore
    expect(parseClaims(JSON.stringify({ ...written, own }))).toBeNull();
  }
  expect(parseClaims(JSON.stringify({ ...written, own: undefined }))).toBeNull();
});

test("more revocations than are told are a moment before which all is asked about", async () => {
  const config = LoginConfig.parse({});
  await using kit = await startAuthKit({ table: [route({ anyone: "authenticated" })], verifiedByPlane: true, config });
  const { verification } = kit.auth;
  let heard = 0;
  const observing = verification.observe(() => void (heard += 1));
  const { browser, token } = await kit.login(ZOE);
  const caller = { ...OWNER, respond: [], credential: { id: "x", expiresAt: Infinity, proof: "x" } };
  await kit.enter(browser, token, `http://${HOST}:7080/`);
  await kit.auth.sessions.endUser(ZOE, caller);
  expect(verification.revoked()).toMatchObject({ users: [{ told: "corp/Zo%C3%AB%2C%2050%25", at: START }], before: 0 });
  const store = kit.store;
  for (let at = 0; at < 600; at += 1) {
    await store.put("revocations", `id-${String(at)}`, {}, { version: null, expiresAt: START + 60_000 });
  }
  await expect.poll(() => verification.revoked().ids.length).toBe(500);
  expect(verification.revoked().ids.at(-1)).toBe("id-599");
  expect(verification.revoked().before).toBe(START);
  expect(heard).toBeGreaterThan(600);
  observing[Symbol.dispose]();
});
