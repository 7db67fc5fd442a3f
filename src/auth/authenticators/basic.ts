import type { BasicMethod } from "../../config/basic-method.ts";
import { realmOf } from "../../config/login-methods.ts";
import { GatewayError, type Principal, type RequestHead } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { LoginLimit } from "../login-limit.ts";
import { type PasswordBook, startPasswordBook, startSharedPassword } from "../passwords/password-book.ts";
import type { PasswordChecks } from "../passwords/password-checks.ts";
import type { Authenticator, Ended, LoggedIn } from "./authenticator.ts";
import { type CredentialForm, recognisedBy, shownBy } from "./credential-forms.ts";

/** How old what is known of a person may get: files are looked at in memory, so that asking costs nothing. */
const RECHECK_MS = 1000;
/** Of one request: what it opened is closed then, and at once when the password counts no more. */
const GOOD_MS = 12 * 3_600_000;
const MAX_PASSWORD = 1024;

const FORMS: readonly CredentialForm[] = Object.freeze([{ form: "scheme", schemes: Object.freeze(["basic"]) }]);

/** RFC 7617 section 2. */
const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;

export interface BasicDeps {
  readonly method: BasicMethod;
  readonly limit: LoginLimit;
  readonly checks: PasswordChecks;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Passwords of a file, or one for all. Throws `bad_request` where a file is broken. Disposing it stops watching files. */
export async function startBasic(deps: BasicDeps): Promise<Authenticator & AsyncDisposable> {
  const { method, clock, logger } = deps;
  const realm = realmOf(method);
  const listeners = new Set<(ended: Ended) => void>();
  const changed: Parameters<typeof startPasswordBook>[0]["changed"] = (changes) => {
    for (const { user, id, removed } of changes) {
      logger.info({ realm, user: user ?? "(everybody)", removed }, "password changed");
      for (const listener of listeners) listener({ subject: user, id });
    }
  };
  const files = { groupsFile: method.groupsFile, clock, logger, changed };
  const { passwordFile = "", sharedPasswordFile } = method;
  const book =
    sharedPasswordFile === undefined
      ? await startPasswordBook({ ...files, passwordFile })
      : await startSharedPassword({ ...files, sharedPasswordFile });
  const desk = new Desk({ ...deps, book, realm });

  return {
    name: method.name,
    realm,
    forms: FORMS,
    keepMs: method.cache,
    challenge: 'Basic realm="taskgate", charset="UTF-8"',
    challengesPeople: true,
    recognises: (head) => recognisedBy(FORMS, head),
    async authenticate(head, signal) {
      const shown = shownPassword(head);
      if (shown === null) return null;
      const { id } = await desk.verify({ ...shown, peer: head.peer }, signal);
      return { principal: desk.principalOf(shown.user), id, expiresAt: clock.now() + GOOD_MS };
    },
    interactive: {
      kind: "password",
      label: method.label ?? method.name,
      asksName: true,
      async verify(given, signal) {
        const { version } = await desk.verify(given, signal);
        return desk.loggedIn(given.user, version);
      },
      recheck: (secret) => desk.recheck(secret),
    },
    current: (principal) => desk.today(principal),
    observe(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    [Symbol.asyncDispose]: () => book[Symbol.asyncDispose](),
  };
}

interface Given {
  readonly user: string;
  readonly password: string;
  readonly peer: string;
}

/** Where passwords are judged. */
class Desk {
  readonly #deps: BasicDeps & { readonly book: PasswordBook; readonly realm: string };

  constructor(deps: BasicDeps & { readonly book: PasswordBook; readonly realm: string }) {
    this.#deps = deps;
  }

  /** Throws `unauthenticated`, the same for a wrong password and for who is not known, `rate_limited` and `unavailable`. */
  verify({ user, password, peer }: Given, signal: AbortSignal) {
    const { book, checks, limit, method } = this.#deps;
    return limit.run({ method: method.name, peer, account: user }, async () => {
      const entry = book.find(user);
      const judged = entry ?? book.spare(user);
      const plausible = isName(user) && password.length <= MAX_PASSWORD;
      const matches = plausible && judged !== null && (await checks.run(() => judged.matches(password), signal));
      // Looked up again: the file may have changed while the password was checked.
      if (!matches || entry === null || book.find(user)?.id !== entry.id) {
        throw new GatewayError("unauthenticated", "wrong user or password");
      }
      return entry;
    });
  }

  loggedIn(user: string, version: string): LoggedIn {
    return {
      principal: this.principalOf(user),
      lifetimeMs: this.#deps.method.lifetime,
      secret: JSON.stringify([user, version]),
      recheckMs: RECHECK_MS,
      upstream: { subject: user },
    };
  }

  recheck(secret: string): Promise<LoggedIn> {
    const [user = "", version = ""] = JSON.parse(secret) as string[];
    if (this.#deps.book.find(user)?.version === version) return Promise.resolve(this.loggedIn(user, version));
    return Promise.reject(new GatewayError("unauthenticated", "this password has changed; log in again"));
  }

  today(principal: Principal): Principal | null {
    if (this.#deps.book.find(principal.name) === null) return null;
    return { ...principal, groups: this.principalOf(principal.name).groups };
  }

  principalOf(user: string): Principal {
    const { book, realm } = this.#deps;
    return { realm, name: user, groups: book.groupsOf(user).map((name) => ({ realm, name })), admin: false };
  }
}

/** A name is shown in terminals and on pages, whoever made it up. */
function isName(user: string): boolean {
  return /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}:]{1,256}$/u.test(user) && user === user.trim();
}

/** null: no field of ours. Throws `unauthenticated` for one that is ours and not well-formed. */
function shownPassword(head: RequestHead): { readonly user: string; readonly password: string } | null {
  const field = shownBy(FORMS, head);
  if (field === undefined) return null;
  const text = decode(BASIC.exec(field)?.[1]);
  const colon = text?.indexOf(":") ?? -1;
  if (text === null || colon < 0) {
    throw new GatewayError("unauthenticated", "Authorization: expected Basic and USER:PASSWORD in UTF-8 and base64");
  }
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function decode(base64: string | undefined): string | null {
  if (base64 === undefined) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(base64, "base64"));
  } catch {
    return null;
  }
}
