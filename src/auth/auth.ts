import type { LoginConfig } from "../config/schema.ts";
import {
  type AuditDetail,
  type AuditSink,
  type Gatekeeper,
  GatewayError,
  NO_AUDIT,
  originOf,
  type Principal,
  type RequestHead,
  type Route,
  sameIdentity,
  type Site,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { Store } from "../store/store.ts";
import { currentOf } from "./access.ts";
import { Activity } from "./activity.ts";
import { createAppLogin } from "./app-login.ts";
import { createAssertions } from "./assertions.ts";
import { type AuthKeys, startKeyRings } from "./auth-keys.ts";
import type { Authenticator } from "./authenticators/authenticator.ts";
import { createTokensAuthenticator } from "./authenticators/tokens.ts";
import type { Authority } from "./authority.ts";
import { createCodes } from "./codes.ts";
import { challengeFor, createCredentials } from "./credentials.ts";
import { type Grants, startGrants } from "./grants.ts";
import { createGatekeeper } from "./gatekeeper.ts";
import { createLinks, type Links, withLinkTokens } from "./links.ts";
import { type LiveDeps, startLive } from "./live.ts";
import { type DeviceLogins, createDeviceLogins } from "./device-logins.ts";
import { createLoginLimit, type LoginLimit } from "./login-limit.ts";
import { type Logins, startLogins } from "./logins.ts";
import { createMethodLogins, type MethodLogins } from "./method-logins.ts";
import type { Sealer } from "./sealer.ts";
import { type Caller, createLogin, type Login, type Visit } from "./login.ts";
import { isConsequential, isForeign, saysOrigin } from "./origins.ts";
import { createPermissions, type Permissions } from "./permissions.ts";
import { isRevoked, rootOf, startRevocations } from "./revocations.ts";
import { SKEW_MS } from "./session-reader.ts";
import { createSessionBook, type SessionBook } from "./session-book.ts";
import { createSessions } from "./sessions.ts";
import { createTokenDesk, type TokenDesk } from "./token-desk.ts";
import { createTokenUses } from "./token-uses.ts";
import { createTokens, isTokenId, type Grounds, type NewToken, type Tokens, type TokenView } from "./tokens.ts";
import type { Usage } from "./usage.ts";
import { startUseRecorder, type UseRecorder } from "./use-recorder.ts";
import { WatchedUse } from "./workers/watched-use.ts";
import { createToday, watchEnded } from "./watch-ended.ts";
import { createWorkerAuth, type WorkerAuth } from "./workers/worker-auth.ts";

export interface AuthDeps {
  readonly store: Store;
  readonly config: LoginConfig;
  readonly site: Site;
  /** The one user of a gate of one's own. Nobody else of the owner's realm is known here. */
  readonly owner: Principal;
  /** The data plane's own look-up: `host` in lower case and without port, `path` as sent. */
  readonly routeFor: (host: string, path: string) => Route | undefined;
  /** Beside the gate's own tokens, in order. */
  readonly authenticators?: readonly Authenticator[];
  /** Administrators, beside whom a method says to be one. Absent: none. */
  readonly isAdmin?: (principal: Principal) => boolean;
  /** Of other people's secrets that come with logins. */
  readonly sealer: Sealer;
  /** The one that the authenticators count by. Absent: one of its own. */
  readonly loginLimit?: LoginLimit;
  /** By name. */
  readonly authorities?: ReadonlyMap<string, Authority>;
  /** Absent: nothing is kept of who did what. */
  readonly audit?: { readonly sink: AuditSink; readonly detail: AuditDetail };
  readonly clock: Clock;
  readonly logger: Logger;
}

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
}

/** Makes the gate's keys on the first start. Throws `unavailable` where the store cannot be read. */
export async function startAuth(deps: AuthDeps): Promise<Auth> {
  const { store, config, clock, owner, site } = deps;
  const logger = deps.logger.child({ component: "auth" });
  const own = originOf(site, site.gateHost);
  const keepMs = config.session + SKEW_MS;
  const rings = await startKeyRings({ store, clock, logger, rotateMs: config.keyRotation, keepMs });
  const assertions = createAssertions({ keys: rings.assertion, site, clock });
  const revocations = await startRevocations({ store, clock, keepMs });
  const { authenticators = [], sealer, loginLimit: limit = createLoginLimit(clock) } = deps;
  const today = createToday(authenticators);
  const current = (principal: Principal): Principal | null => {
    const known = currentOf(owner, principal);
    const found = known && today(known);
    return found === null || found.admin || deps.isAdmin?.(found) !== true ? found : { ...found, admin: true };
  };
  const logins = startLogins({
    ...{ store, clock, logger, sealer, revocations, authenticators },
    ownRealm: owner.realm,
  });
  const grants = await startGrants({ store, revocations, clock, logger });
  const uses = createTokenUses({ store, clock, logger });
  const linkDeps = { grants, revocations, clock, logger, limit, tokenMs: config.session };
  const issued = withLinkTokens(createTokens({ store, clock, revocations, current, uses }), linkDeps);
  const tokens = askingAfter(issued, logins, current);
  const permissions = createPermissions({ authorities: deps.authorities ?? new Map(), clock });
  const credentials = createCredentials(
    [createTokensAuthenticator({ tokens, realm: owner.realm, limit, clock }), ...authenticators],
    clock,
    current,
  );
  const isOnBehalfOfOthers = (head: RequestHead): boolean =>
    isConsequential(head) && saysOrigin(head) && credentials.isAmbient(head) && isForeign(head, own, []);
  const renewMs = new Map(
    config.methods.flatMap((method) => {
      if ("recheck" in method) return [[method.name, method.recheck]];
      return method.type === "basic" ? [[method.name, BASIC_RENEW_MS]] : [];
    }),
  );
  const prolong = createProlong({ ...deps, tokens, permissions, renewMs });
  const audit = deps.audit ?? { sink: NO_AUDIT, detail: { detail: "visits", visitIdleMs: 60_000, streamMs: 60_000 } };
  const activity = new Activity(clock);
  const watched = new WatchedUse(activity);
  const recorder = startUseRecorder({ clock, activity, ...audit });
  const live = startLive({
    ...{ clock, logger, prolong, recorder },
    isRevoked: (session) => isRevoked(revocations, session),
    mayStay: (session, route) => permissions.peek(route, session.principal) !== false,
  });
  const observing = revocations.observe((id) => {
    credentials.forget();
    live.cut(id);
  });
  const observingUsers = revocations.observeUsers((user) => {
    credentials.forget();
    live.cutUser(user);
  });
  const ending = watchEnded({ authenticators, credentials, logins, revocations, logger });
  const visits = createCodes<Visit>({ store, clock, kind: "visits" });
  const sessions = createSessions({
    ...{ keys: rings.session, assertions, revocations, clock, site, current },
    ...{ lifetimeMs: config.session, renewMs },
  });
  const shared = {
    ...{
      site,
      clock,
      logger,
      tokens,
      credentials,
      permissions,
      revocations,
      sessions,
      visits,
      live,
      recorder,
      audit: audit.sink,
    },
    assertions,
    book: createSessionBook({ store, clock, tokens, revocations }),
  };
  const gatekeeper = createGatekeeper({ ...shared, appLogin: createAppLogin(shared) });
  const workers = createWorkerAuth({
    ...shared,
    gatekeeper,
    owner,
    keys: rings.session,
    ...{ sessionMs: config.session, renewMs },
    prolong,
    auditDetail: audit.detail,
    watched,
  });

  return {
    gatekeeper,
    keys: rings.keys,
    sessions: shared.book,
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
      const watch = new DisposableStack();
      watch.use(revocations.observe((id) => void (id === caller.credential?.id && end())));
      watch.use(revocations.observeUsers((user) => void (sameIdentity(user, caller) && end())));
      return watch;
    },
    tokens: {
      issue: ({ name, principal, lifetimeMs }) =>
        tokens.issue({ name, principal, kind: "token", ...(lifetimeMs === undefined ? {} : { lifetimeMs }) }),
      list: (principal) => tokens.list(principal),
      revoke: (id, principal) => tokens.revoke(id, principal),
    },
    tokenDesk: createTokenDesk(tokens, config),
    login: createLogin({ ...shared, store, config, current, limit, routeFor: deps.routeFor }),
    methods: createMethodLogins({ ...shared, store, config, sealer, logins, limit, authenticators }),
    devices: createDeviceLogins({ ...shared, store, config, logins, limit }),
    grants,
    links: createLinks(linkDeps),
    watched,
    audit: {
      record: (entry) => audit.sink.record(entry),
      tally: (entry) => recorder.tally(entry),
      get blocked() {
        return audit.sink.blocked;
      },
    },
    usage: () => workers.usage(live.usage()),
    workers,
    [Symbol.asyncDispose]() {
      rings[Symbol.dispose]();
      observing[Symbol.dispose]();
      observingUsers[Symbol.dispose]();
      ending[Symbol.dispose]();
      logins[Symbol.dispose]();
      live[Symbol.dispose]();
      recorder[Symbol.dispose]();
      activity[Symbol.dispose]();
      grants[Symbol.dispose]();
      revocations[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

/** The tokens of people whom a method let in stand on what it says of them today. */
function askingAfter(tokens: Tokens, logins: Logins, current: (principal: Principal) => Principal | null): Tokens {
  async function today(grounds: Grounds | null): Promise<Grounds | null> {
    const found = grounds && (await logins.today(grounds));
    const principal = found && current(found.principal);
    return found && principal && { ...found, principal };
  }
  return {
    ...tokens,
    find: async (id) => today(await tokens.find(id)),
    async verify(token) {
      const found = await today(await tokens.verify(token));
      if (found === null)
        throw new GatewayError("unauthenticated", "the login behind this token has ended; log in again");
      return found;
    },
  };
}

/** Asking a password file costs nothing: who was taken out of it while the gate was down is out soon after. */
const BASIC_RENEW_MS = 60_000;
const PROLONG_TIME_MS = 10_000;

/** Until when a session whose time is up may go on: while its login stands and its access holds. */
function createProlong(deps: {
  readonly clock: Clock;
  readonly config: LoginConfig;
  readonly tokens: Tokens;
  readonly permissions: Permissions;
  readonly renewMs: ReadonlyMap<string, number>;
}): LiveDeps["prolong"] {
  const { clock, config, permissions, renewMs, tokens } = deps;
  return async (session, route) => {
    const login = rootOf(session.id);
    const now = clock.now();
    const grounds = await tokens.find(login);
    // What is no token of the gate's ends by itself, and nobody can be asked about it before.
    if (grounds === null && (isTokenId(login) || now >= session.expiresAt)) return null;
    const { principal } = grounds ?? session;
    const permitted = await permissions.ask(route, principal, AbortSignal.timeout(PROLONG_TIME_MS));
    if (grounds === null) return permitted ? session.expiresAt : null;
    const most = Math.min(config.session, renewMs.get(session.proof ?? "") ?? Infinity);
    return permitted ? Math.min(now + most, grounds.expiresAt ?? Infinity) : null;
  };
}
