import { setTimeout as sleep } from "node:timers/promises";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { GatewayError, type Principal } from "../model/index.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import { startEmbeddedStore } from "../store/embedded/embedded-store.ts";
import type { Store } from "../store/store.ts";
import type { Authenticator, LoggedIn } from "./authenticators/authenticator.ts";
import { type Logins, startLogins } from "./logins.ts";
import { startRevocations } from "./revocations.ts";
import { createSealer } from "./sealer.ts";

const ALICE: Principal = { realm: "corp", name: "alice", groups: [], admin: false };
const base = { clock: systemClock, logger: silentLogger };
const KEY = new Uint8Array(32).fill(7);
const GROUNDS = { id: "token-1", principal: ALICE } as Parameters<Logins["today"]>[0];

/** Says who somebody is today for each refresh token once; one that is shown again ends all, as providers do that rotate them. */
class Rotating {
  asked = 0;
  isAway = false;
  readonly #used = new Set<string>();

  readonly method = {
    name: "idp",
    realm: "corp",
    interactive: { recheck: (secret: string) => this.#recheck(secret) },
  } as unknown as Authenticator;

  found(): LoggedIn {
    return { principal: ALICE, secret: `refresh-${String(this.asked)}`, recheckMs: 1 };
  }

  async #recheck(secret: string): Promise<LoggedIn> {
    await sleep(30);
    if (this.isAway) throw new GatewayError("unavailable", "idp: no answer");
    if (this.#used.has(secret)) throw new GatewayError("unauthenticated", "idp: this token was used before");
    this.#used.add(secret);
    this.asked += 1;
    return this.found();
  }
}

async function gateOn(store: Store, { method }: Rotating): Promise<Logins> {
  const revocations = await startRevocations({ store, clock: systemClock, keepMs: 60_000 });
  const parts = { store, revocations, sealer: createSealer(KEY), authenticators: [method], ownRealm: "local" };
  const logins = startLogins({ ...parts, ...base });
  onTestFinished(() => {
    logins[Symbol.dispose]();
    revocations[Symbol.dispose]();
  });
  return logins;
}

async function twoGates(provider: Rotating): Promise<readonly [Logins, Logins]> {
  const folder = mkdtempSync(join(tmpdir(), "tg-logins-"));
  const store = await startEmbeddedStore({ file: join(folder, "gate.db"), ...base });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  const gates = [await gateOn(store, provider), await gateOn(store, provider)] as const;
  await gates[0].bind(GROUNDS.id, await gates[0].begin("idp", provider.found(), Date.now() + 3_600_000));
  return gates;
}

test("of several gates one asks with a refresh token that is good once, and all go by what it was told", async () => {
  const provider = new Rotating();
  const gates = await twoGates(provider);
  for (let time = 1; time <= 3; time += 1) {
    await sleep(5);
    const today = await Promise.all(gates.map((gate) => gate.today(GROUNDS)));
    expect(today.map((grounds) => grounds?.principal)).toEqual([ALICE, ALICE]);
    expect(provider.asked).toBe(time);
  }
});

test("a provider that is away leaves the login to be asked about by whoever comes next", async () => {
  const provider = new Rotating();
  const [one, two] = await twoGates(provider);
  await sleep(5);
  provider.isAway = true;
  for (const gate of [one, two, one]) await expect(gate.today(GROUNDS)).rejects.toMatchObject({ code: "unavailable" });
  provider.isAway = false;
  expect((await two.today(GROUNDS))?.principal).toEqual(ALICE);
  expect(provider.asked).toBe(1);
});
