import { readFileSync } from "node:fs";
import type { Auth } from "../auth/auth.ts";
import type { Home } from "../config/home.ts";
import { isCode, type Principal, type RequestHead } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { pause } from "../platform/pause.ts";
import { replaceFile } from "../platform/replace-file.ts";

export interface OwnerTokenDeps {
  readonly home: Home;
  readonly auth: Auth;
  readonly owner: Principal;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The state folder may be gone the next time, as a pod's is, and the store is not. */
  readonly isPassing: boolean;
}

const NAME = "command line";
/** How long one is good that is renewed. */
const PASSING_MS = 2 * 24 * 60 * 60_000;
const RENEW_MS = PASSING_MS / 2;
const RETRY_MS = 60_000;

/**
 * Makes sure that the state folder holds a token of the owner's that works, 0600: the command line logs in with it. One for a folder that
 * passes is good for two days, renewed each day, and revoked when disposed: there would be one more for ever with each start.
 */
export async function keepOwnerToken(deps: OwnerTokenDeps): Promise<AsyncDisposable> {
  if (deps.isPassing) return keepPassingToken(deps);
  const { home, auth, owner } = deps;
  const held = readToken(home);
  if (held === null || !(await works(auth, held))) {
    const { token } = await auth.tokens.issue({ name: NAME, principal: owner });
    replaceFile(home.token, `${token}\n`);
  }
  return new AsyncDisposableStack();
}

async function keepPassingToken(deps: OwnerTokenDeps): Promise<AsyncDisposable> {
  const { home, auth, owner, clock, logger } = deps;
  const stop = new AbortController();
  async function renew(): Promise<void> {
    const before = readToken(home);
    const { token } = await auth.tokens.issue({ name: NAME, principal: owner, lifetimeMs: PASSING_MS });
    replaceFile(home.token, `${token}\n`);
    if (before !== null) await revoke(deps, before);
  }
  async function keepRenewing(): Promise<void> {
    let waitMs = RENEW_MS;
    for (;;) {
      await pause(clock, waitMs, stop.signal);
      if (stop.signal.aborted) return;
      waitMs = await renew().then(
        () => RENEW_MS,
        (err: unknown) => {
          logger.warn({ err }, "the command line's token could not be renewed; it is tried again");
          return RETRY_MS;
        },
      );
    }
  }
  await renew();
  const renewing = keepRenewing();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await renewing;
      const held = readToken(home);
      // It ends by itself where the store is away.
      if (held !== null) await revoke(deps, held).catch((err: unknown) => logger.warn({ err }, "the command line's token could not be revoked")); // prettier-ignore
    },
  };
}

/** Nothing where it is none, or revoked already. */
async function revoke({ auth, owner }: OwnerTokenDeps, token: string): Promise<void> {
  const [, id = ""] = token.split("_");
  try {
    await auth.tokens.revoke(id, owner);
  } catch (error) {
    if (!isCode(error, "not_found")) throw error;
  }
}

function readToken(home: Home): string | null {
  try {
    return readFileSync(home.token, "utf8").trim();
  } catch {
    return null; // none yet, or not readable: a new one is made either way
  }
}

async function works(auth: Auth, token: string): Promise<boolean> {
  try {
    await auth.authenticate(headWith(token), AbortSignal.timeout(10_000));
    return true;
  } catch (error) {
    if (isCode(error, "unauthenticated")) return false;
    throw error;
  }
}

function headWith(token: string): RequestHead {
  return {
    method: "GET",
    host: "",
    path: "/",
    peer: "127.0.0.1",
    secure: false,
    header: (name) => (name === "authorization" ? `Bearer ${token}` : undefined),
  };
}
