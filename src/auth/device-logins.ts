import { randomInt } from "node:crypto";
import { GatewayError, isCode, originOf, type Site } from "../model/index.ts";
import type { LoginConfig } from "../config/schema.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import { createAttemptLimit } from "./attempt-limit.ts";
import { hashOf, isSecretForm, newSecret } from "./codes.ts";
import type { LoginLimit } from "./login-limit.ts";
import type { Caller } from "./login.ts";
import type { Logins } from "./logins.ts";
import type { Grounds, Tokens } from "./tokens.ts";

const DEVICES = "device-logins";
const CODES = "device-codes";

/** How long somebody has to open the page and say yes. */
const LIFETIME_MS = 600_000;
const INTERVAL_MS = 5000;
/** RFC 8628 section 3.5: so much more after each question that came too soon. */
const SLOWER_MS = 5000;
const BEGUN = { perPeer: 20, inAll: 300 };

/** No vowels, so no words, and nothing that looks like something else (RFC 8628 section 6.1): eight of them are 34 bits. */
const ALPHABET = "BCDFGHJKLMNPQRSTVWXZ";
const CODE_LENGTH = 8;

/** What a command line shows, and asks with (RFC 8628 section 3.2). Times in seconds. */
export interface DeviceLogin {
  readonly deviceCode: string;
  readonly userCode: string;
  readonly page: string;
  readonly pageWithCode: string;
  readonly lifetimeS: number;
  readonly intervalS: number;
}

/** What came of it so far. */
export type DeviceAnswer =
  | { readonly state: "pending"; readonly intervalS: number; readonly tooSoon: boolean }
  | {
      readonly state: "approved";
      readonly token: string;
      readonly id: string;
      /** Epoch ms; null: until it is revoked. */
      readonly expiresAt: number | null;
      readonly realm: string;
      readonly principal: string;
    };

/** Who asks, for the person who is to say yes. */
export interface DeviceView {
  /** As the command line says it: the name of its machine. */
  readonly client: string;
  /** Address that it asked from. */
  readonly peer: string;
  /** Epoch ms. */
  readonly createdAt: number;
  /** Epoch ms. */
  readonly expiresAt: number;
}

/** Logins of command lines, each let in by somebody at a browser: the device flow of RFC 8628, at the gate itself. */
export interface DeviceLogins {
  /** Throws `rate_limited`, `unavailable`. */
  begin(client: string, peer: string): Promise<DeviceLogin>;
  /** Throws `denied` where the person said no, `unauthenticated` for a code that is wrong, used or expired, `unavailable`. */
  poll(deviceCode: string, peer: string): Promise<DeviceAnswer>;
  /** Throws `not_found`, `rate_limited`, `unavailable`. */
  show(userCode: string, peer: string): Promise<DeviceView>;
  /** Once. Throws as `show`, and `denied` for a caller whose own login cannot be passed on. */
  answer(userCode: string, answer: { readonly approve: boolean; readonly caller: Caller }, peer: string): Promise<void>;
}

interface DeviceRecord extends DeviceView {
  /** Hash. */
  readonly userCode: string;
  /** Id of the login or token of who said yes; null: nobody yet. */
  readonly approvedBy: string | null;
  readonly refused: boolean;
  readonly intervalMs: number;
  /** Epoch ms. */
  readonly askedAt: number;
}

export interface DeviceLoginsDeps {
  readonly store: Store;
  readonly site: Site;
  readonly config: LoginConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tokens: Tokens;
  readonly logins: Logins;
  readonly limit: LoginLimit;
}

/** Keeps nothing but counters of attempts. There is nothing to close. */
export function createDeviceLogins(deps: DeviceLoginsDeps): DeviceLogins {
  return new Devices(deps);
}

class Devices implements DeviceLogins {
  readonly #deps: DeviceLoginsDeps;
  readonly #begun;

  constructor(deps: DeviceLoginsDeps) {
    this.#deps = deps;
    this.#begun = createAttemptLimit(deps.clock, BEGUN);
  }

  async begin(client: string, peer: string): Promise<DeviceLogin> {
    this.#begun.take(peer);
    const { clock, site, store } = this.#deps;
    const [deviceCode, userCode] = [newSecret(), newUserCode()];
    const createdAt = clock.now();
    const expiresAt = createdAt + LIFETIME_MS;
    const record: DeviceRecord = {
      ...{ client, peer, createdAt, expiresAt, userCode: hashOf(userCode) },
      ...{ approvedBy: null, refused: false, intervalMs: INTERVAL_MS, askedAt: 0 },
    };
    await store.put(CODES, record.userCode, { device: hashOf(deviceCode) }, { version: null, expiresAt });
    await store.put(DEVICES, hashOf(deviceCode), record, { version: null, expiresAt });
    const page = `${originOf(site, site.gateHost)}/.taskgate/device`;
    const spelt = `${userCode.slice(0, 4)}-${userCode.slice(4)}`;
    return {
      ...{ deviceCode, userCode: spelt, page, pageWithCode: `${page}#${spelt}` },
      ...{ lifetimeS: LIFETIME_MS / 1000, intervalS: INTERVAL_MS / 1000 },
    };
  }

  async poll(deviceCode: string, peer: string): Promise<DeviceAnswer> {
    const { clock, limit, store } = this.#deps;
    const key = hashOf(deviceCode);
    const entry = await limit.count({ method: "device", peer }, async () => {
      const found = isSecretForm(deviceCode) ? await store.get<DeviceRecord>(DEVICES, key) : null;
      if (found === null || found.value.expiresAt <= clock.now()) throw spent();
      return found;
    });
    const { approvedBy, askedAt, intervalMs } = entry.value;
    if (!isAnswered(entry.value)) {
      const tooSoon = clock.now() < askedAt + intervalMs;
      const next = { ...entry.value, askedAt: clock.now(), intervalMs: intervalMs + (tooSoon ? SLOWER_MS : 0) };
      await this.#put(key, next, entry.version); // or it was answered at this very moment, which the next question finds
      return { state: "pending", intervalS: next.intervalMs / 1000, tooSoon };
    }
    try {
      await store.remove(DEVICES, key, entry.version);
    } catch (error) {
      // Somebody else took it with the same code: removing is what decides who.
      throw isCode(error, "conflict") ? spent() : error;
    }
    if (approvedBy === null) throw new GatewayError("denied", "the person at the browser said no");
    return this.#issue(entry.value, approvedBy);
  }

  async show(userCode: string, peer: string): Promise<DeviceView> {
    const { client, peer: from, createdAt, expiresAt } = (await this.#find(userCode, peer)).record;
    return { client, peer: from, createdAt, expiresAt };
  }

  async answer(
    userCode: string,
    { approve, caller }: { readonly approve: boolean; readonly caller: Caller },
    peer: string,
  ): Promise<void> {
    const { logger, store } = this.#deps;
    const grounds = approve ? await this.#groundsOf(caller) : null;
    const decided = { approvedBy: grounds?.id ?? null, refused: !approve };
    for (;;) {
      const { key, record, version } = await this.#find(userCode, peer);
      // The command line asks all the time, and is written down each time: once more, with that.
      if (!(await this.#put(key, { ...record, ...decided }, version))) continue;
      const entry = await store.get(CODES, record.userCode);
      if (entry !== null) await store.remove(CODES, record.userCode, entry.version);
      const { realm, name: user } = caller;
      logger.info({ realm, user, client: record.client, peer: record.peer, approve }, "command line answered");
      return;
    }
  }

  /** What the command line's login will stand on: one that ends, and that can be asked after later. */
  async #groundsOf(caller: Caller): Promise<Grounds> {
    if (caller.scope !== undefined) throw new GatewayError("denied", "a token with a scope lets no command line in");
    const grounds = caller.credential === undefined ? null : await this.#deps.tokens.find(caller.credential.id);
    if (grounds === null) throw new GatewayError("denied", "log in with a browser to let a command line in");
    return grounds;
  }

  async #issue(device: DeviceRecord, approvedBy: string): Promise<DeviceAnswer> {
    const { clock, config, logger, logins, tokens } = this.#deps;
    const grounds = await tokens.find(approvedBy);
    if (grounds === null) throw new GatewayError("denied", "the login that let this command line in has ended");
    const login = await logins.of(grounds.id);
    const until = Math.min(login?.expiresAt ?? grounds.expiresAt ?? Infinity, clock.now() + config.gateSession);
    const { view, token } = await tokens.issue({
      ...{ name: `taskgate login on ${device.client}`, kind: "token", principal: grounds.principal },
      ...{ lifetimeMs: until - clock.now(), ...(grounds.proof === undefined ? {} : { proof: grounds.proof }) },
    });
    if (login !== null) await logins.bind(view.id, login.login);
    const { realm, name } = grounds.principal;
    logger.info(
      { realm, user: name, client: device.client, peer: device.peer, token: view.id },
      "command line logged in",
    );
    return { state: "approved", token, id: view.id, expiresAt: view.expiresAt, realm, principal: name };
  }

  /** Its 34 bits could be guessed, if nobody counted. */
  #find(userCode: string, peer: string) {
    const { clock, limit, store } = this.#deps;
    const code = userCode.toUpperCase().replace(/[^A-Z]/g, "");
    return limit.run({ method: "device", peer }, async () => {
      const key = (await store.get<{ device: string }>(CODES, hashOf(code)))?.value.device;
      const entry = key === undefined ? null : await store.get<DeviceRecord>(DEVICES, key);
      const open = entry !== null && entry.value.expiresAt > clock.now() && !isAnswered(entry.value);
      if (key === undefined || !open) {
        throw new GatewayError("not_found", "this code is wrong, was used already, or has expired");
      }
      return { key, record: entry.value, version: entry.version };
    });
  }

  /** false: somebody else wrote since. */
  async #put(key: string, record: DeviceRecord, version: string): Promise<boolean> {
    try {
      await this.#deps.store.put(DEVICES, key, record, { version, expiresAt: record.expiresAt });
      return true;
    } catch (error) {
      if (!isCode(error, "conflict")) throw error;
      return false;
    }
  }
}

function isAnswered({ approvedBy, refused }: DeviceRecord): boolean {
  return approvedBy !== null || refused;
}

function newUserCode(): string {
  return Array.from({ length: CODE_LENGTH }, () => ALPHABET.charAt(randomInt(ALPHABET.length))).join("");
}

function spent(): GatewayError {
  return new GatewayError("unauthenticated", "this login is wrong, was fetched already, or has expired; begin again");
}
