import {
  type AuditSink,
  type Gatekeeper,
  GatewayError,
  originOf,
  type Principal,
  type RequestHead,
  sameIdentity,
} from "../model/index.ts";
import type { AuthDeps } from "./auth-deps.ts";
import type { AuthKeys } from "./auth-keys.ts";
import { challengeFor } from "./credentials.ts";
import { createDeviceLogins, type DeviceLogins } from "./device-logins.ts";
import type { Grants } from "./grants.ts";
import { createLinks, type Links } from "./links.ts";
import { type Caller, createLogin, type Login } from "./login.ts";
import { createMethodLogins, type MethodLogins } from "./method-logins.ts";
import { isConsequential, isForeign, saysOrigin } from "./origins.ts";
import type { SessionBook } from "./session-book.ts";
import { startDeciding } from "./start-deciding.ts";
import { type Identities, startIdentities } from "./start-identities.ts";
import { createTokenDesk, type TokenDesk } from "./token-desk.ts";
import type { NewToken, TokenView } from "./tokens.ts";
import type { Usage } from "./usage.ts";
import type { UseRecorder } from "./use-recorder.ts";
import type { Verification } from "./verification.ts";
import type { WatchedUse } from "./workers/watched-use.ts";
import type { WorkerAuth } from "./workers/worker-auth.ts";

export type { AuthDeps } from "./auth-deps.ts";

/** Who may pass. Disposing it stops its look at open sessions; nothing is cut. */
export interface Auth extends AsyncDisposable {
  readonly gatekeeper: Gatekeeper;
  readonly keys: AuthKeys;
  /** Of browsers, at services. */
  readonly sessions: Omit<SessionBook, "begun">;
  /** For the API, which takes no cookie. Throws `unauthenticated`, `unavailable` and the signal's reason. */
  authenticate(head: RequestHead, signal: AbortSignal): Promise<Caller>;
  /** WWW-Authenticate of what the API says to who sent this and showed nothing good. */
  challenge(head: RequestHead): string;
  /** Calls `end` once, at once, when what the caller showed is revoked: for answers that last, such as live updates. */
  whileValid(caller: Caller, end: () => void): Disposable;
  /** For the gate itself: no bounds apply but those of `Tokens`. `lifetimeMs` absent: until it is revoked. */
  readonly tokens: {
    issue(options: {
      readonly name: string;
      readonly principal: Principal;
      readonly lifetimeMs?: number | undefined;
    }): Promise<NewToken>;
    list(principal: Principal): Promise<readonly TokenView[]>;
    revoke(id: string, principal: Principal): Promise<void>;
  };
  /** For people who ask. */
  readonly tokenDesk: TokenDesk;
  readonly login: Login;
  /** Logins of people by the configured methods. */
  readonly methods: MethodLogins;
  /** Logins of command lines. */
  readonly devices: DeviceLogins;
  /** What else is to be on record. */
  readonly audit: AuditSink & Pick<UseRecorder, "tally">;
  /** Who uses what, of the tasks that are stopped when nobody does. */
  readonly watched: Pick<WatchedUse, "watch" | "last">;
  /** What was given to others. */
  readonly grants: Grants;
  /** What was given to who has a link. */
  readonly links: Links;
  /** What each service was used for since the gate started, by service; in workers as of a second ago. */
  usage(): ReadonlyMap<string, Usage>;
  /** For worker processes, whose gatekeepers decide like this one. */
  readonly workers: WorkerAuth;
  /** For data planes that verify sessions by themselves. */
  readonly verification: Verification;
}

/** Makes the gate's keys on the first start. Throws `unavailable` where the store cannot be read. */
export async function startAuth(given: AuthDeps): Promise<Auth> {
  const deps: AuthDeps = { ...given, logger: given.logger.child({ component: "auth" }) };
  using scope = new DisposableStack();
  const identities = scope.use(await startIdentities(deps));
  const deciding = scope.use(startDeciding(deps, identities));
  const { config, authenticators = [] } = deps;
  const { grants, rings, tokens } = identities;
  const { audit, book, gatekeeper, live, recorder, verification, watched, workers } = deciding;
  const disposing = scope.move();
  return {
    ...{ gatekeeper, grants, verification, watched, workers, keys: rings.keys, sessions: book },
    ...createShowing(deps, identities),
    tokens: {
      issue: ({ name, principal, lifetimeMs }) =>
        tokens.issue({ name, principal, kind: "token", ...(lifetimeMs === undefined ? {} : { lifetimeMs }) }),
      list: (principal) => tokens.list(principal),
      revoke: (id, principal) => tokens.revoke(id, principal),
    },
    tokenDesk: createTokenDesk(tokens, config),
    login: createLogin({ ...deps, ...identities, ...deciding }),
    methods: createMethodLogins({ ...deps, ...identities, authenticators }),
    devices: createDeviceLogins({ ...deps, ...identities }),
    links: createLinks(identities.linkDeps),
    audit: {
      record: (entry) => audit.record(entry),
      tally: (entry) => recorder.tally(entry),
      get blocked() {
        return audit.blocked;
      },
    },
    usage: () => workers.usage(live.usage()),
    [Symbol.asyncDispose]() {
      disposing.dispose();
      return Promise.resolve();
    },
  };
}

/** What callers of the API show. */
function createShowing(
  { site }: AuthDeps,
  { credentials, revocations }: Identities,
): Pick<Auth, "authenticate" | "challenge" | "whileValid"> {
  const own = originOf(site, site.gateHost);
  const isOnBehalfOfOthers = (head: RequestHead): boolean =>
    isConsequential(head) && saysOrigin(head) && credentials.isAmbient(head) && isForeign(head, own, []);
  return {
    async authenticate(head, signal) {
      if (isOnBehalfOfOthers(head)) throw new GatewayError("denied", "this request came from another site (Origin)");
      const shown = await credentials.authenticate(head, signal);
      if (shown === null || revocations.has(shown.id)) {
        throw new GatewayError("unauthenticated", "log in, or send a token: Authorization: Bearer tg_…");
      }
      const { principal, id, expiresAt, proof, respond } = shown;
      return { ...principal, respond, credential: { id, expiresAt, proof } };
    },
    challenge: (head) => challengeFor(credentials.challenges, head, "gate"),
    whileValid(caller, end) {
      const watching = new DisposableStack();
      watching.use(
        revocations.observe((id) => {
          if (id === caller.credential?.id) end();
        }),
      );
      watching.use(
        revocations.observeUsers((user) => {
          if (sameIdentity(user, caller)) end();
        }),
      );
      return watching;
    },
  };
}
