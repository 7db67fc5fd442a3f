import { type Decision, originOf, type TrafficKind } from "../../model/index.ts";
import type { Explanation } from "../dataplane.ts";
import { overloaded } from "./admission.ts";
import { answerEmpty, answerNotice, answerRedirect } from "./answer.ts";
import type { PlaneContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { failed, type Call, type Failure, type Outcome } from "./forward.ts";
import { forwardHttp1 } from "./http1/attempt.ts";
import { forwardHttp2 } from "./http2/attempt.ts";
import { CODE } from "./http2/frames.ts";
import { denial, NOTICES, refusal, unableNotice } from "../notices.ts";
import type { Notice } from "../pages.ts";
import type { Allowed } from "./request-fields.ts";
import { parseHost } from "../parse-host.ts";
import type { Found } from "../route-index.ts";
import { camePlain } from "../visitor-of.ts";
import type { Target } from "./target.ts";
import type { Flow } from "./traffic.ts";
import type { UpstreamState } from "./upstreams.ts";

type FoundRoute = Extract<Found, { kind: "route" }>;

/** Takes one request from its head to the end of its answer. Never throws. */
export async function serve(context: PlaneContext, exchange: Exchange): Promise<void> {
  const flow = context.traffic.begin(kindOf(exchange), exchange);
  const { admission } = context;
  const { peer } = exchange.head;
  const bound = admission.request(peer);
  exchange.onClose(() => {
    flow.close();
    if (bound === null) admission.requestEnded(peer);
    if (flow.route !== null) admission.serviceEnded(flow.route);
  });
  if (bound !== null) {
    sayNotice(exchange, flow, overloaded(bound));
    return;
  }
  try {
    await route(context, exchange, flow);
  } catch (error) {
    if (exchange.left) return; // the visitor left: whatever broke off because of it is no news
    context.logger.error({ err: error }, "request failed in the gate");
    if (exchange.begun) exchange.abort();
    else sayNotice(exchange, flow, NOTICES.internal);
  }
}

async function route(context: PlaneContext, exchange: Exchange, flow: Flow): Promise<void> {
  const { head } = exchange;
  const fault = faultOf(exchange, context.via);
  if (fault !== null) {
    sayNotice(exchange, flow, fault);
    return;
  }
  if (camePlain(head, context.site)) {
    sendToTls(context, exchange, flow);
    return;
  }
  const found = context.index.find(head);
  if (found.kind === "misdirected") {
    sayNotice(exchange, flow, NOTICES.misdirected);
    return;
  }
  if (found.kind === "unknown") {
    sayNotice(exchange, flow, await context.explain({ route: null, head, session: null, failure: null }));
    return;
  }
  flow.wanted = found.route;
  const decision = decide(context, exchange, found);
  // Without a turn in between a body goes on from the memory that it was read into.
  const decided = decision instanceof Promise ? await decision : decision;
  if (exchange.left) return;
  if (decided.kind === "allow") return pass(context, exchange, { found, allowed: decided, flow });
  refuse(exchange, flow, decided);
}

/** Why this request is for nobody, whatever it asks for; null: it is not. */
function faultOf({ head, fault, client }: Exchange, via: string): Notice | null {
  if (fault !== null) return refusal(fault.status, fault.message);
  if (head.header("via")?.includes(via) === true) return NOTICES.loop;
  return client.mayAsk?.(parseHost(head.host) ?? "") === false ? NOTICES.other_certificate : null;
}

/** A browser goes on by TLS; whatever else was sent has crossed the network in the open, and is not to be thought good. */
function sendToTls({ site }: PlaneContext, exchange: Exchange, flow: Flow): void {
  const { method, host, path } = exchange.head;
  if (method !== "GET" && method !== "HEAD") return sayNotice(exchange, flow, NOTICES.came_plain);
  flow.refused(308, null);
  answerRedirect(exchange, { location: originOf(site, parseHost(host) ?? site.gateHost) + path, respond: [] }, 308);
}

/** What belongs to the gate is always asked the slow way: logins are answered there. */
function decide(context: PlaneContext, exchange: Exchange, found: FoundRoute): Decision | Promise<Decision> {
  const { gatekeeper } = context;
  const { head } = exchange;
  if (!found.gatePath) {
    const checked = gatekeeper.check(found.route, head);
    if (checked.kind !== "ask") return checked;
  }
  return gatekeeper.admit(found.route, head, exchange.gone);
}

function refuse(exchange: Exchange, flow: Flow, decision: Exclude<Decision, { kind: "allow" }>): void {
  if (decision.kind === "answer") {
    flow.refused(204, null);
    return answerEmpty(exchange, decision);
  }
  if (decision.kind === "redirect") {
    flow.refused(302, null);
    return answerRedirect(exchange, decision);
  }
  flow.session = decision.session ?? null;
  sayNotice(exchange, flow, denial(decision));
}

function sayNotice(exchange: Exchange, flow: Flow, notice: Notice): void {
  flow.refused(notice.status, notice.code);
  answerNotice(exchange, notice, flow.requestId);
}

function kindOf(exchange: Exchange): TrafficKind {
  if (exchange.upgrade !== null) return "websocket";
  return (exchange.head.header("content-type") ?? "").startsWith("application/grpc") ? "grpc" : "http";
}

interface Entry {
  readonly found: FoundRoute;
  readonly allowed: Allowed;
  readonly flow: Flow;
}

/** Somebody was let in: what the gate still answers itself, else the job. */
async function pass(context: PlaneContext, exchange: Exchange, { found, allowed, flow }: Entry): Promise<void> {
  const { route, strip, bare, gatePath } = found;
  if (gatePath) {
    sayNotice(exchange, flow, NOTICES.not_found);
    return;
  }
  if (bare !== null) {
    flow.refused(308, null);
    const query = exchange.head.path.indexOf("?");
    const location = bare + (query < 0 ? "" : exchange.head.path.slice(query));
    answerRedirect(exchange, { location, respond: allowed.respond }, 308);
    return;
  }
  const bound = context.admission.service(route);
  if (bound !== null) {
    sayNotice(exchange, flow, overloaded(bound));
    return;
  }
  flow.enter(route, allowed.session, () => exchange.abort());
  const call: Call = {
    exchange,
    route,
    allowed,
    prefix: strip,
    idleMs: route.policy.idleTimeoutMs ?? context.limits.idleTime,
    context,
    flow,
  };
  const upstream = context.upstreams.get(route.upstream);
  const unable = unableNotice(route, { upgrades: exchange.upgrade !== null, version: exchange.version });
  if (unable !== null) {
    sayNotice(exchange, flow, unable);
    return;
  }
  const failure = await forward(call, upstream);
  if (failure === null || exchange.left) return;
  if (failure === "refused") exchange.abort(CODE.refused);
  else sayNotice(exchange, flow, await failureNotice(call, failure));
}

/** Tries endpoints for as long as nothing can have happened twice. null: the visitor has its answer, or left. */
async function forward(call: Call, upstream: UpstreamState | undefined): Promise<Failure | null> {
  const { clock, limits, sticky } = call.context;
  const tried = new Set<Target>();
  const stickyIds = sticky.idsFor(call.route, call.exchange.head);
  let failure: Failure = "no_endpoint";
  for (;;) {
    const target =
      tried.size < limits.tries ? upstream?.pick(call.route, { tried, now: clock.now(), stickyIds }) : null;
    if (target == null) return failure;
    const outcome = await tryTarget(sticky.callFor(call, target), target);
    if (call.exchange.left || outcome.kind === "answered") return null;
    failure = outcome.failure;
    if (outcome.again !== "other") return failure;
    tried.add(target);
  }
}

/** One endpoint: once more on a fresh connection where a kept one died under the request, which says nothing of the endpoint. */
async function tryTarget(call: Call, target: Target): Promise<Outcome> {
  const first = await attempt(call, target, false);
  const dead = first.kind === "failed" && first.again === "same" && !call.exchange.left;
  const outcome = dead ? await attempt(call, target, true) : first;
  if (!call.exchange.left) report(target, outcome);
  return outcome;
}

function attempt(call: Call, target: Target, fresh: boolean): Promise<Outcome> {
  call.flow.attempt(target);
  if (call.route.protocol === "grpc") return forwardHttp2(call, target);
  if (call.exchange.head.method === "CONNECT") return Promise.resolve(failed("bad_request"));
  return forwardHttp1(call, target, fresh);
}

/** Silence and odd answers are the job's own affair. */
function report(target: Target, outcome: Outcome): void {
  if (outcome.kind === "answered") return target.succeeded();
  const { failure } = outcome;
  if (failure === "connect_failed" || failure === "connect_timeout" || failure === "reset") target.failed();
}

async function failureNotice(call: Call, failure: Failure): Promise<Notice> {
  if (failure === "bad_answer") return NOTICES.bad_answer;
  if (failure === "bad_request") return NOTICES.bad_request;
  const { exchange, route, allowed, context } = call;
  const explanation: Explanation = await context.explain({
    route,
    head: exchange.head,
    session: allowed.session,
    failure,
  });
  return { ...explanation, respond: allowed.respond };
}
