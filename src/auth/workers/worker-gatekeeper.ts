import { createPublicKey, type KeyObject } from "node:crypto";
import { type Decision, type Gatekeeper, plainHead, type RequestHead, type Route } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { ProcessLink } from "../../platform/process-link.ts";
import { currentOf } from "../access.ts";
import { Activity } from "../activity.ts";
import { ownCookies } from "../cookies.ts";
import { credentialHead } from "../credential-head.ts";
import { createLocalCheck, type LocalDeps } from "../gatekeeper.ts";
import { startLive, type LiveSessions } from "../live.ts";
import { askedRoute } from "../permissions.ts";
import { isRevoked, KnownRevocations } from "../revocations.ts";
import { createSessionReader } from "../session-reader.ts";
import { NO_STAMPS } from "../stamps.ts";
import type { Usage } from "../usage.ts";
import { startUseRecorder } from "../use-recorder.ts";
import { startAuditReport } from "./audit-report.ts";
import { reportLastUse } from "./watched-use.ts";
import {
  createLearnedAssertions,
  createLearnedCredentials,
  createLearnedPermissions,
  type LearnedAssertions,
  type LearnedCredentials,
  type LearnedPermissions,
} from "./learned.ts";
import { ADMIT, type Grounding, HEARD, KEYS, PROLONG, REVOKED, REVOKED_USER, USED } from "./messages.ts";

export interface WorkerGatekeeperDeps {
  /** To the gate's process: see `serveWorker`. */
  readonly link: ProcessLink;
  readonly grounding: Grounding;
  readonly clock: Clock;
  readonly logger: Logger;
}

const PROLONG_TIME_MS = 10_000;
const USAGE_EVERY_MS = 1000;

/** A gatekeeper; disposing it stops its look at open sessions, and nothing is cut. */
export type WorkerGatekeeper = Gatekeeper & Disposable;

/**
 * The gatekeeper of a worker process. It decides by itself wherever the gate's own would decide without asking: public keys, revocations
 * and the routes' grants are here. Logins, renewals, tokens that were not seen within the last second and authorities are the gate's,
 * which is asked; if it is gone they are refused with 503. What is revoked is cut here as there, at once.
 */
export function startWorkerGatekeeper(deps: WorkerGatekeeperDeps): WorkerGatekeeper {
  const { link, grounding, clock } = deps;
  const revocations = new KnownRevocations(grounding.revoked, grounding.revokedUsers);
  const keys = readKeys(link, grounding);
  const local: Local = {
    ...{ site: grounding.site, clock, revocations, stamps: NO_STAMPS },
    assertions: createLearnedAssertions(clock),
    credentials: createLearnedCredentials(grounding.forms, grounding.challenges, clock),
    permissions: createLearnedPermissions(clock),
    sessions: createSessionReader({
      ...{ revocations, clock, site: grounding.site, lifetimeMs: grounding.sessionMs },
      renewMs: new Map(grounding.renewMs),
      verifiers: keys,
      current: (principal) => currentOf(grounding.owner, principal),
    }),
  };
  const report = startAuditReport(link, clock);
  const activity = new Activity(clock);
  const recorder = startUseRecorder({ clock, sink: report, detail: grounding.audit, activity });
  const live = startLive({
    ...{ clock, logger: deps.logger, isRevoked: (session) => isRevoked(revocations, session), recorder },
    mayStay: (session, route) => local.permissions.peek(route, session.principal),
    prolong: (session, route) => link.ask(PROLONG, { session, route }, AbortSignal.timeout(PROLONG_TIME_MS)),
  });
  link.hear(REVOKED, (id) => {
    revocations.add(id);
    local.credentials.forget();
    live.cut(id);
  });
  link.hear(REVOKED_USER, (user) => {
    revocations.addUser(user);
    local.credentials.forget();
    live.cutUser(user);
  });
  link.answer(HEARD, () => Promise.resolve(null));
  const reporting = new DisposableStack();
  reporting.use(reportUsage(live, deps));
  reporting.use(reportLastUse(activity, link, clock));
  return {
    check: createLocalCheck(local),
    admit: (route, head, signal) => admit(local, { ...deps, route, head }, signal),
    opened: (use, route, cut) => live.opened(use, route, cut),
    refused: (use, route) => recorder.refused(use, route),
    [Symbol.dispose]() {
      reporting[Symbol.dispose]();
      live[Symbol.dispose]();
      recorder[Symbol.dispose]();
      activity[Symbol.dispose]();
      report[Symbol.dispose]();
    },
  };
}

/** The gate tells of a key before the table that has it, so that who has applied that table verifies with it. */
function readKeys(link: ProcessLink, grounding: Grounding): () => ReadonlyMap<string, KeyObject> {
  const read = (keys: Grounding["keys"]): ReadonlyMap<string, KeyObject> =>
    new Map(keys.map(([kid, { publicKey }]) => [kid, createPublicKey(publicKey)]));
  let current = read(grounding.keys);
  link.hear(KEYS, (keys) => {
    current = read(keys);
  });
  return () => current;
}

interface Local extends LocalDeps {
  readonly assertions: LearnedAssertions;
  readonly credentials: LearnedCredentials;
  readonly permissions: LearnedPermissions;
}

interface Asked extends WorkerGatekeeperDeps {
  readonly route: Route;
  readonly head: RequestHead;
}

async function admit(local: Local, { link, logger, route, head }: Asked, signal: AbortSignal): Promise<Decision> {
  try {
    const decision = await link.ask(ADMIT, { route, head: plainHead(head) }, signal);
    if (decision.kind === "allow" && decision.session !== null) learn(local, route, head, decision);
    return decision;
  } catch (error) {
    if (signal.aborted) throw error;
    logger.warn({ err: error, service: route.service }, "could not decide about a request");
    const reason = "who may come in cannot be found out now: try again";
    return { kind: "deny", status: 503, code: "unavailable", reason };
  }
}

/** So that the next request of the same visitor need not ask. An answer that sets a cookie is this request's alone. */
function learn(local: Local, route: Route, head: RequestHead, allowed: Extract<Decision, { kind: "allow" }>): void {
  const { session, respond } = allowed;
  if (session === null || respond.length > 0) return;
  local.permissions.learn(askedRoute(route, head), session.principal);
  const seen = credentialHead(route, head);
  if (local.credentials.recognised(seen).length > 0) {
    const { id, principal, proof = "", expiresAt } = session;
    local.assertions.learn(route, session);
    local.credentials.learn(seen, { id, principal, proof, expiresAt, respond });
    return;
  }
  const own = local.sessions.find(route, head, ownCookies(head));
  if (own !== null && local.clock.now() >= local.stamps.renewalOf(own, route)) local.sessions.postpone(own);
}

/** Tells the gate every second what services were used for, those that were. */
function reportUsage(live: LiveSessions, { clock, link }: WorkerGatekeeperDeps): Disposable {
  let told = new Map<string, Usage>();
  let timer: Disposable;
  const look = (): void => {
    const usage = live.usage();
    const news = [...usage].filter(([service, now]) => !isSame(told.get(service), now));
    if (news.length > 0) link.tell(USED, news);
    told = new Map(usage);
    timer = clock.after(USAGE_EVERY_MS, look);
  };
  timer = clock.after(USAGE_EVERY_MS, look);
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

function isSame(one: Usage | undefined, other: Usage): boolean {
  return one?.lastUsed === other.lastUsed && one.open === other.open && one.bytesOut === other.bytesOut;
}
