import { type AuditDetail, type AuditSink, type Gatekeeper, NO_AUDIT } from "../model/index.ts";
import type { LoginConfig } from "../config/schema.ts";
import type { Clock } from "../platform/clock.ts";
import { Activity } from "./activity.ts";
import { createAppLogin } from "./app-login.ts";
import type { AuthDeps } from "./auth-deps.ts";
import { type Codes, createCodes } from "./codes.ts";
import { createGatekeeper } from "./gatekeeper.ts";
import { type LiveDeps, type LiveSessions, startLive } from "./live.ts";
import type { Visit } from "./login.ts";
import { createPermissions, type Permissions } from "./permissions.ts";
import { isRevoked, rootOf } from "./revocations.ts";
import { createSessionBook, type SessionBook } from "./session-book.ts";
import { createSessions } from "./sessions.ts";
import { createStamps, NO_STAMPS } from "./stamps.ts";
import type { Identities } from "./start-identities.ts";
import { isTokenId, type Tokens } from "./tokens.ts";
import { startUseRecorder, type UseRecorder } from "./use-recorder.ts";
import { createVerification, type Verification } from "./verification.ts";
import { WatchedUse } from "./workers/watched-use.ts";
import { createWorkerAuth, type WorkerAuth } from "./workers/worker-auth.ts";

/** Who may what: decided here, and in worker processes. */
export interface Deciding extends Disposable {
  readonly permissions: Permissions;
  readonly visits: Codes<Visit>;
  readonly book: SessionBook;
  readonly audit: AuditSink;
  readonly recorder: UseRecorder;
  readonly watched: WatchedUse;
  readonly live: LiveSessions;
  readonly gatekeeper: Gatekeeper;
  readonly workers: WorkerAuth;
  readonly verification: Verification;
}

const UNKEPT: AuditDetail = { detail: "visits", visitIdleMs: 60_000, streamMs: 60_000 };

/** Disposing it stops its look at what is open; nothing is cut. */
export function startDeciding(deps: AuthDeps, identities: Identities): Deciding {
  const { store, config, clock, logger, owner, site } = deps;
  const { assertions, credentials, current, renewMs, revocations, rings, tokens } = identities;
  using scope = new DisposableStack();
  const permissions = createPermissions({ authorities: deps.authorities ?? new Map(), clock });
  const prolong = createProlong({ clock, config, tokens, permissions, renewMs });
  const { sink: audit, detail: auditDetail } = deps.audit ?? { sink: NO_AUDIT, detail: UNKEPT };
  const activity = scope.use(new Activity(clock));
  const watched = new WatchedUse(activity);
  const recorder = scope.use(startUseRecorder({ clock, activity, sink: audit, detail: auditDetail }));
  const live = scope.use(
    startLive({
      ...{ clock, logger, prolong, recorder },
      isRevoked: (session) => isRevoked(revocations, session),
      mayStay: (session, route) => permissions.peek(route, session.principal),
    }),
  );
  scope.use(cutWhatIsRevoked(identities, live));
  const lifetimeMs = config.session;
  const keys = rings.session;
  const { forms } = credentials;
  const verification = scope.use(createVerification({ site, clock, revocations, forms, current, lifetimeMs, renewMs }));
  const stamps = deps.verifiedByPlane === true ? createStamps(() => verification.revoked().before) : NO_STAMPS;
  const sessions = createSessions({ keys, assertions, revocations, clock, site, current, lifetimeMs, renewMs, stamps });
  const visits = createCodes<Visit>({ store, clock, kind: "visits" });
  const book = createSessionBook({ store, clock, tokens, revocations });
  const shared = {
    ...{ site, clock, logger, tokens, credentials, permissions, revocations, sessions, visits, live, recorder },
    ...{ audit, assertions, book, stamps },
  };
  const gatekeeper = createGatekeeper({ ...shared, appLogin: createAppLogin(shared) });
  const workers = createWorkerAuth({
    ...{ ...shared, gatekeeper, owner, keys, prolong, auditDetail, watched, renewMs },
    sessionMs: lifetimeMs,
  });
  const disposing = scope.move();
  return {
    ...{ permissions, visits, book, audit, recorder, watched, live, gatekeeper, workers, verification },
    [Symbol.dispose]: () => disposing.dispose(),
  };
}

function cutWhatIsRevoked({ credentials, revocations }: Identities, live: LiveSessions): Disposable {
  const watching = new DisposableStack();
  watching.use(
    revocations.observe((id) => {
      credentials.forget();
      live.cut(id);
    }),
  );
  watching.use(
    revocations.observeUsers((user) => {
      credentials.forget();
      live.cutUser(user);
    }),
  );
  return watching;
}

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
