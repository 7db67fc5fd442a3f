import { describe, expect, test } from "vitest";
import { GatewayError, type Principal } from "../../model/index.ts";
import { createManualClock } from "../../store/testing/manual-clock.ts";
import type { Store } from "../../store/store.ts";
import { createLoginLimit } from "../login-limit.ts";
import { startRevocations } from "../revocations.ts";
import { createLogCapture, OWNER, START, startAuthKit, startTestStore } from "../testing/auth-kit.ts";
import { makeHead } from "../testing/browser.ts";
import { createTokenUses } from "../token-uses.ts";
import { createTokens } from "../tokens.ts";
import { type AuthenticatorSubject, describeAuthenticator } from "./authenticator.contract.ts";
import { createTokensAuthenticator } from "./tokens.ts";

/** A store whose reads can be made slow or impossible, as a disk's are. */
function disturbed(store: Store) {
  let mode: "well" | "stalled" | "failing" = "well";
  const disturbedStore: Store = {
    ...store,
    get<T>(kind: string, key: string) {
      if (mode === "stalled") return new Promise<never>(() => undefined);
      if (mode === "failing") return Promise.reject(new GatewayError("unavailable", "the disk fails"));
      return store.get<T>(kind, key);
    },
  };
  const set = (next: typeof mode) => (): void => {
    mode = next;
  };
  return { store: disturbedStore, stall: set("stalled"), fail: set("failing"), recover: set("well") };
}

async function start(): Promise<AuthenticatorSubject> {
  const log = createLogCapture();
  const clock = createManualClock(START);
  const own = await startTestStore(clock, log.logger);
  const upstream = disturbed(own);
  const revocations = await startRevocations({ store: upstream.store, clock, keepMs: 60_000 });
  const tokens = createTokens({
    ...{ store: upstream.store, clock, revocations, current: (principal: Principal) => principal },
    uses: createTokenUses({ store: upstream.store, clock, logger: log.logger }),
  });
  const issue = async (lifetimeMs?: number): Promise<string> => {
    const lifetime = lifetimeMs === undefined ? {} : { lifetimeMs };
    return (await tokens.issue({ name: "ci", principal: OWNER, kind: "token", ...lifetime })).token;
  };
  const [right, expired] = [await issue(), await issue(1000)];
  clock.advance(1000);
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  return {
    authenticator: createTokensAuthenticator({ tokens, realm: OWNER.realm, limit: createLoginLimit(clock), clock }),
    principal: OWNER,
    right: bearer(right),
    wrong: bearer(`${right.slice(0, -1)}${right.endsWith("A") ? "B" : "A"}`),
    expired: bearer(expired),
    malformed: {
      "no secret": bearer(right.slice(0, 15)),
      "too short": bearer(right.slice(0, -1)),
      "too long": bearer(`${right}A`),
      "the scheme alone": bearer("tg_"),
      "an unknown id": bearer(`tg_${"z".repeat(12)}_${right.slice(16)}`),
      "an id that is a path": bearer(`tg_../../../etc_${right.slice(16)}`),
      "another scheme": { authorization: `Basic ${right}` },
      "own header, no secret": { "x-taskgate-authorization": `Bearer ${right.slice(0, 16)}` },
    },
    foreign: [
      { authorization: "Bearer xyz" },
      { authorization: "Basic eDp5" },
      { authorization: "Bearer my-tg_token" },
      { authorization: "" },
      { "x-taskgate-authorization": "Basic eDp5" },
      { "x-taskgate-authorization": "Bearer xyz" },
      { "x-taskgate-authorization": "" },
      { cookie: `taskgate-session-7080=${right}` },
      { "x-authorization": `Bearer ${right}` },
    ],
    secrets: [right.slice(16), expired.slice(16)],
    logged: () => log.text(),
    upstream,
    async [Symbol.asyncDispose]() {
      revocations[Symbol.dispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}

describeAuthenticator("tokens", start);

describe("tokens", () => {
  test("have a public id and a secret of 256 bits, of which a hash is kept", async () => {
    await using kit = await startAuthKit();
    const { view, token } = await kit.auth.tokens.issue({ name: "ci", principal: OWNER, lifetimeMs: 60_000 });
    expect(token).toMatch(/^tg_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$/);
    expect(token.slice(3, 15)).toBe(view.id);
    expect(view).toEqual({
      ...{ id: view.id, name: "ci", owner: "olga", kind: "token", scope: null },
      ...{ createdAt: START, expiresAt: START + 60_000, lastUsedAt: null },
    });
    const kept = JSON.stringify([...(await kit.store.list("tokens"))]);
    expect(kept).toContain(view.id);
    expect(kept).not.toContain(token.slice(16));
  });

  test("are listed without what opens anything, browsers' logins among them, until they end", async () => {
    await using kit = await startAuthKit();
    await kit.auth.tokens.issue({ name: "for an hour", principal: OWNER, lifetimeMs: 3_600_000 });
    kit.clock.advance(1);
    await kit.auth.tokens.issue({ name: "for good", principal: OWNER });
    kit.clock.advance(1);
    const { token } = await kit.login();
    const listed = await kit.auth.tokens.list(OWNER);
    expect(listed.map((each) => [each.name, each.kind])).toEqual([
      ["for an hour", "token"],
      ["for good", "token"],
      ["browser", "browser"],
    ]);
    expect(JSON.stringify(listed)).not.toContain(token.slice(16));
    kit.clock.advance(3_600_000);
    expect((await kit.auth.tokens.list(OWNER)).map((each) => each.name)).toEqual(["for good", "browser"]);
  });

  test("keep nothing of a principal but who it is", async () => {
    await using kit = await startAuthKit();
    const principal = { ...OWNER, credential: { id: "x", expiresAt: 1 }, password: "hunter2" };
    await kit.auth.tokens.issue({ name: "ci", principal });
    expect(JSON.stringify([...(await kit.store.list("tokens"))])).not.toMatch(/hunter2|credential/);
  });

  test("are bounded for each principal", async () => {
    await using kit = await startAuthKit();
    const issue = () => kit.auth.tokens.issue({ name: "ci", principal: OWNER });
    await Promise.all(Array.from({ length: 1000 }, issue));
    await expect(issue()).rejects.toMatchObject({ code: "conflict" });
  });

  test("count in the gate's own header before the other", async () => {
    await using kit = await startAuthKit();
    const good = (await kit.auth.tokens.issue({ name: "ci", principal: OWNER })).token;
    const ask = (own: string, other: string) => {
      const headers = { "x-taskgate-authorization": `Bearer ${own}`, authorization: `Bearer ${other}` };
      return kit.auth.authenticate(
        makeHead({ host: "taskgate.localhost:7080", headers }),
        new AbortController().signal,
      );
    };
    expect(await ask(good, "tg_junk")).toMatchObject(OWNER);
    await expect(ask("tg_junk", good)).rejects.toMatchObject({ code: "unauthenticated" });
  });
});
