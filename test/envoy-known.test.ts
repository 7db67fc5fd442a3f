import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BY, GROUP, HOST, notebook, OPEN, OTHER, PAGE, SAME, Stand, ZOE } from "./support/login-stand.ts";

type Headers = readonly (readonly [string, string])[];
interface Asked {
  readonly host?: string;
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Headers;
}

const FOREIGN: Headers = [["origin", "http://other.localhost"]];
const METHODS = ["GET", "HEAD", "OPTIONS", "TRACE", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"];

/** Whatever the rules ask of a request: each is held against them by those who look, and again by those who remember. */
const WAYS: readonly Asked[] = [
  ...METHODS.map((method) => ({ method })),
  ...METHODS.map((method) => ({ method, headers: [SAME] })),
  ...METHODS.map((method) => ({ method, headers: FOREIGN })),
  ...METHODS.map((method) => ({ method, headers: [["origin", "OWN"]] as const })),
  ...["cross-site", "same-site", "none", "same-origin,same-origin", "Same-Origin"].map((site) => ({
    headers: [["sec-fetch-site", site]] as const,
  })),
  { method: "POST", headers: [SAME, ["sec-fetch-site", "cross-site"]] },
  { headers: [SAME, ...FOREIGN] },
  { headers: [["upgrade", "websocket"], ["connection", "upgrade"]] }, // prettier-ignore
  { headers: [["upgrade", "websocket"], ["connection", "upgrade"], ...FOREIGN] }, // prettier-ignore
  ...["Bearer tg_aaaaaaaaaaaa_x", "Bearer of-the-app", "Basic eDp5", "", "tg_aaaaaaaaaaaa_x"].map((value) => ({
    headers: [["authorization", value]] as const,
  })),
  ...["x-taskgate-authorization", "x-taskgate-service", "proxy-authorization", "x-taskgate-user", "x-tg-login"].map(
    (name) => ({ headers: [[name, "me"]] as const }),
  ),
  { headers: [["x-tg-looked-at", "yes"], ["connection", "x-tg-login, x-tg-looked-at"]] }, // prettier-ignore
  ...["/.taskgate/logout", "/a/.taskgate", "/?/.taskgate", "/%2e", "*"].map((path) => ({ path })),
  { headers: PAGE },
];

describe("who is known passes an Envoy as who is not", () => {
  let stand: Stand;
  let cookie: string;
  let count = 0;

  beforeAll(async () => {
    stand = await Stand.start();
    cookie = await stand.enter(HOST, ZOE);
  });
  afterAll(() => stand[Symbol.asyncDispose]());

  /** With cookies that nobody came with before: by them nobody is known. */
  const unheard = (of: string): string => `${of}; n=${String((count += 1))}`;

  async function outcome({ host = HOST, headers = [], ...asked }: Asked, cookies: string | null) {
    const own = `http://${host}:${String(stand.site.port)}`;
    const fields = headers.map(([name, value]) => [name, value === "OWN" ? own : value] as const);
    const before = stand.envoy.asked;
    const more: Headers = cookies === null ? [] : [["cookie", cookies]];
    const { status, seen, headers: said } = await stand.envoy.ask(host, { ...asked, headers: [...fields, ...more] });
    const rest: Record<string, string> = { ...seen, "x-request-id": "", cookie: "" };
    const { cookie: kept = "" } = seen;
    const sets = (said["set-cookie"] ?? []).map((line) => line.split("=", 1)[0]);
    return {
      status,
      seen: rest,
      kept: kept.replace(/(?:; )?n=\d+/, ""),
      sets,
      asked: stand.envoy.asked - before,
    };
  }

  const lookedAt = async (work: () => Promise<unknown>): Promise<number> => {
    const before = await stand.envoy.lookedAt();
    await work();
    return (await stand.envoy.lookedAt()) - before;
  };

  test("is looked at once, and seen by the job alike from then on", async () => {
    const cookies = unheard(`a=1; ${cookie}; b="2 3"`);
    const first = await outcome({}, cookies);
    expect(first).toMatchObject({ status: 200, kept: 'a=1; b="2 3"', asked: 0 });
    expect(first.seen["x-taskgate-user"]).toBe("corp/Zo%C3%AB%2C%2050%25");
    expect(Object.keys(first.seen)).toContain("x-taskgate-assertion");
    const again = await lookedAt(async () => {
      for (let times = 0; times < 3; times += 1) expect(await outcome({}, cookies)).toEqual(first);
    });
    expect(again).toBe(0);
  });

  test("needs no look where anyone may come, but with cookies of the gate", async () => {
    expect(await lookedAt(() => outcome({ host: OPEN }, "a=1"))).toBe(0);
    expect(await lookedAt(() => outcome({ host: "self.localhost", method: "POST" }, null))).toBe(0);
    expect(await lookedAt(() => outcome({ host: OPEN }, "a=1; __Host-Taskgate-x=2"))).toBe(1);
  });

  test.each([HOST, OTHER, OPEN, "self.localhost", "app.localhost", "cors.localhost", "nobody.localhost"])(
    "whatever is asked of %s",
    async (host) => {
      const cookies = `${cookie}; theme=dark`;
      await outcome({}, cookies);
      expect(await lookedAt(() => outcome({}, cookies))).toBe(0);
      for (const way of WAYS) {
        const asked = { ...way, host };
        expect
          .soft(await outcome(asked, cookies), JSON.stringify(asked))
          .toEqual(await outcome(asked, unheard(cookies)));
        expect.soft(await outcome(asked, "theme=dark"), JSON.stringify(asked)).toEqual(await outcome(asked, unheard("theme=dark"))); // prettier-ignore
      }
    },
  );

  test("not by cookies that are split otherwise, doubled, or named nearly so", async () => {
    const twice = (one: string, two: string) => outcome({ headers: [["cookie", one]] }, two);
    await outcome({}, `${cookie},b=2`);
    expect((await twice(cookie, "b=2")).kept).not.toContain("taskgate");
    const doubled = `${cookie}; ${cookie}`;
    expect(await lookedAt(async () => [await outcome({}, doubled), await outcome({}, doubled)])).toBe(2);
    expect((await outcome({}, `x${cookie}`)).status).toBe(401);
    expect((await outcome({}, `x${cookie}`)).status).toBe(401);
  });

  test("as long as there is room for what is known", async () => {
    const cookies = unheard(cookie);
    await outcome({}, cookies);
    expect(await lookedAt(() => outcome({}, cookies))).toBe(0);
    const large = `${"x".repeat(8192 - 64 - cookie.length)}=1; ${cookie}`;
    expect(await lookedAt(async () => [await outcome({}, large), await outcome({}, large)])).toBe(1);
    const larger = `${"x".repeat(8192)}=1; ${cookie}`;
    expect(await lookedAt(async () => [await outcome({}, larger), await outcome({}, larger)])).toBe(2);
    for (let times = 0; times < 1000; times += 1) await outcome({}, unheard(large));
    expect(await lookedAt(() => outcome({}, cookies))).toBe(1);
    expect(await lookedAt(() => outcome({}, cookies))).toBe(0);
  });

  test("no longer than the session is good, its rules are those, and nothing is revoked", async () => {
    const known = unheard(cookie);
    const status = async () => (await outcome({}, known)).status;
    expect([await status(), await status()]).toEqual([200, 200]);
    await stand.serve(notebook({ access: { grants: [], anyone: "nobody" } }));
    expect(await status()).toBe(403);
    await stand.serve(notebook());
    expect([await status(), await status()]).toEqual([200, 200]);
    await stand.serve({ ...notebook(), service: "local/another/web", upstream: "local/another/web" });
    const moved = await outcome({}, known);
    expect(moved.asked).toBe(1);
    await stand.serve(notebook({ access: { grants: [{ to: GROUP, by: BY }], anyone: "nobody" } }));
    expect([await status(), await status()]).toEqual([200, 200]);
    const claims = JSON.parse(Buffer.from(cookie.split(".")[1] ?? "", "base64url").toString()) as { sid: string };
    const caller = { ...ZOE, respond: [], credential: { id: "x", expiresAt: Infinity, proof: "x" } };
    await stand.kit.auth.sessions.end(claims.sid, caller);
    await expect.poll(status).toBe(401);
    expect(await status()).toBe(401);
  });
});

test("who is known is looked at again when the session is to be renewed", async () => {
  await using stand = await Stand.start({ login: { session: "6s" } });
  const cookie = await stand.enter(HOST, ZOE);
  const ask = () => stand.envoy.ask(HOST, { headers: [["cookie", cookie]] });
  await ask();
  expect(await stand.questions(ask)).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 3200));
  const renewed = await ask();
  expect(renewed.status).toBe(200);
  expect(renewed.headers["set-cookie"]).toHaveLength(1);
});
