import { FILTER } from "../authz/names.ts";
import { KEY, UNHELD_CLOSE } from "../authz/service-metadata.ts";
import { CONTROL_CLUSTER } from "../names.ts";
import { pack } from "../proto/kit.ts";
import { ExternalProcessor, type ProcessingMode } from "../proto/tables/ext-proc.ts";
import type { Matcher, OnMatch, Predicate } from "../proto/tables/xds-matcher.ts";
import { execute, madeWhere } from "../resources/made-where.ts";
import { allOf, answerHeader, anyOf, decisionSays, not, pattern, requestHeader, serviceSays } from "./predicates.ts";

/** Namespace of the metadata that a filter of this plane may set, and in which what it is told of a stream comes back. */
export const HOLD_NAMESPACE = "taskgate.hold";

/** What the gate hears of a request that it holds, by these names. */
export const ATTRIBUTES = Object.freeze({
  host: "request.host",
  path: "request.path",
  method: "request.method",
  peer: "source.address",
  cluster: "xds.cluster_name",
  requestId: "request.id",
  scheme: "request.scheme",
  protocol: "request.protocol",
  contentType: "request.headers['content-type']",
  upgrade: "request.headers['upgrade']",
  traceparent: "request.headers['traceparent']",
});

/** A gate that takes longer holds nothing back: the request goes on, and is not held. */
const LENIENT_WAIT = "0.2s";
/** Where nobody may be let in unheld, there is patience. */
const STRICT_WAIT = "2s";

/** Known when the request comes to be open for long: upgrades, tunnels, gRPC, event streams, large or unmeasured bodies. */
const LONG_REQUEST: Predicate = anyOf(
  requestHeader("upgrade", pattern(".+")),
  requestHeader(":method", { exact: "CONNECT" }),
  requestHeader("content-type", { prefix: "application/grpc" }),
  requestHeader("accept", { contains: "text/event-stream" }),
  requestHeader("content-length", pattern("[0-9]{7,}")),
  requestHeader("transfer-encoding", pattern(".+")),
);

/**
 * Known when the answer comes: from a megabyte on, and of unknown length unless it is what pages are made of, as a call to the gate for each
 * of those would be one for each click.
 */
const LONG_ANSWER: Predicate = anyOf(
  answerHeader("content-length", pattern("[0-9]{7,}")),
  allOf(
    not(answerHeader("content-length", pattern("[0-9]+"))),
    answerHeader(":status", pattern("200|206")),
    not(answerHeader("content-type", pattern("text/(html|css|javascript).*|application/(json|javascript|xhtml).*"))),
  ),
);

const NO_BODIES = { requestBodyMode: "NONE", responseBodyMode: "NONE", requestTrailerMode: "SKIP" } as const;
/** Waiting for the trailers, which mostly never come, keeps the stream to the gate open for as long as the request is. */
const FROM_REQUEST: ProcessingMode = {
  ...NO_BODIES,
  requestHeaderMode: "SEND",
  responseHeaderMode: "SKIP",
  responseTrailerMode: "SEND",
};
const FROM_ANSWER: ProcessingMode = { ...FROM_REQUEST, requestHeaderMode: "SKIP", responseHeaderMode: "SEND" };

/**
 * HTTP filters that keep a stream to the gate open beside each request that lasts, by which the gate can end it at any time; no body and no
 * header but those of `ATTRIBUTES` goes to the gate, other requests pass untouched. They stand right before the router. Of services
 * that are strict, what lasts ends when the gate that holds it is gone, and does not begin without one.
 */
export function holdFilters(): readonly object[] {
  return [
    holdFilter("taskgate.hold", LONG_REQUEST, FROM_REQUEST),
    holdFilter("taskgate.hold-answer", allOf(LONG_ANSWER, not(LONG_REQUEST)), FROM_ANSWER),
  ];
}

function holdFilter(name: string, when: Predicate, mode: ProcessingMode): object {
  const strict = anyOf(serviceSays(KEY.unheld, UNHELD_CLOSE), decisionSays(KEY.unheld, UNHELD_CLOSE));
  // Asked only of what lasts: each question is asked of every request else.
  const byStrictness: Matcher = {
    matcherList: { matchers: [{ predicate: strict, onMatch: holding(mode, true) }] },
    onNoMatch: holding(mode, false),
  };
  return {
    name,
    typedConfig: madeWhere(when, { matcher: byStrictness }),
  };
}

function holding(mode: ProcessingMode, strict: boolean): OnMatch {
  const attributes = Object.values(ATTRIBUTES);
  const typedConfig = pack(ExternalProcessor, {
    grpcService: { envoyGrpc: { clusterName: CONTROL_CLUSTER } },
    failureModeAllow: !strict,
    processingMode: mode,
    messageTimeout: strict ? STRICT_WAIT : LENIENT_WAIT,
    ...(mode.requestHeaderMode === "SEND" ? { requestAttributes: attributes } : { responseAttributes: attributes }),
    // Nothing allowed is nothing sent; an empty list would be no rule.
    forwardRules: { allowedHeaders: { patterns: [{ exact: "x-taskgate-none" }] } },
    metadataOptions: {
      forwardingNamespaces: { untyped: [FILTER.session, FILTER.pass, FILTER.known, FILTER.ask] },
      receivingNamespaces: { untyped: [HOLD_NAMESPACE] },
    },
  });
  return execute({ typedConfig: { name: "envoy.filters.http.ext_proc", typedConfig } });
}
