import { NOTICES, refusal } from "../../notices.ts";
import type { Form, Notice } from "../../pages.ts";
import { envoyNotice } from "../envoy-notice.ts";
import type { AccessLogFilter } from "../proto/tables/access-log.ts";
import type { LocalReplyConfig, ResponseMapper } from "../proto/tables/connection-manager.ts";
import type { HeaderMatcher, VirtualHost } from "../proto/tables/route.ts";
import { set } from "./header-options.ts";

/** What Envoy answers by itself, and what the gate would say in its place. */
interface Reply {
  readonly status: number;
  /** Of Envoy's response flags, one of these; absent: any or none. */
  readonly flags?: readonly string[];
  /** Of the gate's own host alone. */
  readonly ofGate?: true;
  readonly notice: Notice;
}

const TOO_BUSY = { status: 503, code: "overloaded", title: "Too busy", retryAfterSeconds: 1 } as const;

/** Of a route's own answer to what came back to the gate: no other answer has it. */
export const LOOP_STATUS = 508;

/** Of a route's own answer to what came to a front without TLS. */
export const CAME_PLAIN_STATUS = 426;

const GATE_GONE = {
  status: 503,
  code: "gate_unreachable",
  title: "Not available just now",
  retryAfterSeconds: 2,
} as const;

/** First come, first served. */
const REPLIES: readonly Reply[] = [
  { status: 503, flags: ["UAEX"], notice: { ...GATE_GONE, message: "Whether you may come in cannot be found out just now: the gate does not answer. Try again in a moment." } }, // prettier-ignore
  { status: 503, flags: ["UF", "UC", "UH", "URX"], ofGate: true, notice: { ...GATE_GONE, message: "The gate does not answer. Try again in a moment." } }, // prettier-ignore
  { status: 503, flags: ["UO"], notice: { ...TOO_BUSY, message: "This service is working on as many requests as it may." } }, // prettier-ignore
  { status: 503, flags: ["OM"], notice: { ...TOO_BUSY, message: "The gate is working on as many requests as it may." } }, // prettier-ignore
  { status: 503, notice: { status: 502, code: "unreachable", title: "The service does not answer", message: "It closed the connection without an answer." } }, // prettier-ignore
  { status: 504, notice: { status: 504, code: "timeout", title: "The service did not answer in time", message: "It was silent for too long." } }, // prettier-ignore
  { status: LOOP_STATUS, notice: NOTICES.loop },
  { status: CAME_PLAIN_STATUS, notice: NOTICES.came_plain },
  { status: 502, notice: NOTICES.bad_answer },
  { status: 500, notice: NOTICES.internal },
  { status: 400, notice: refusal(400, "This is no request as HTTP has it.") },
  { status: 403, notice: refusal(501, "This protocol is not switched to here.") },
  // Of routes there is one for everything but what extended CONNECT may ask for (RFC 9298).
  { status: 404, notice: refusal(501, "This protocol is not switched to here.") },
  { status: 501, notice: refusal(501, "This coding of a body is not taken here.") },
  { status: 408, notice: refusal(408, "The request did not come in time.") },
  { status: 413, notice: refusal(413, "The body of the request is larger than is taken here.") },
  { status: 431, notice: refusal(431, "The head of the request is larger than is taken here.") },
];

const GRPC: HeaderMatcher = { name: "content-type", stringMatch: { prefix: "application/grpc" } };
const SCRIPT: HeaderMatcher = { name: "x-requested-with", stringMatch: { exact: "xmlhttprequest", ignoreCase: true } };
const PAGE: HeaderMatcher = { name: "accept", stringMatch: { contains: "text/html" } };
const JSON_TYPE: HeaderMatcher = {
  name: "accept",
  stringMatch: { safeRegex: { regex: "(?i).*application/([a-z.+-]+\\+)?json.*" } },
};

/** As `formFor` has it: the first that fits. */
const FORMS: readonly (readonly [form: Form, when: HeaderMatcher | null])[] = [
  ["grpc", GRPC],
  ["json", SCRIPT],
  ["html", PAGE],
  ["json", JSON_TYPE],
  ["text", null],
];

/** Where the gate's own answers have their code, whose words stay as they are. */
const SAID_BY_GATE = "envoy.filters.http.ext_authz";

/** What Envoy itself answers, as the gate would have said it. What the gate did say passes as it is. */
export function localReplies(gateHost: string): LocalReplyConfig {
  const ofGate = { name: ":authority", stringMatch: { safeRegex: { regex: `(?i)${literal(gateHost)}(:\\d+)?` } } };
  const mappers = REPLIES.flatMap((reply) => {
    const host: HeaderMatcher[] = reply.ofGate === true ? [ofGate] : [];
    return FORMS.map(([form, when]) => mapper(reply, form, when === null ? host : [...host, when]));
  });
  return { mappers };
}

/** For a port that speaks TLS alone: in the one form that everybody can read. */
export function tlsNeeded(): VirtualHost {
  const message = "This port speaks https only.";
  const notice = { status: 400, code: "tls_needed", title: "TLS needed", message };
  const { body, headers } = rendered(notice, "text");
  return {
    name: "tls-needed",
    domains: ["*"],
    routes: [{ match: { prefix: "/" }, directResponse: { status: notice.status, body: { inlineString: body } } }],
    responseHeadersToAdd: headers,
  };
}

function mapper({ status, flags, notice }: Reply, form: Form, when: readonly HeaderMatcher[]): ResponseMapper {
  const { body, headers, type } = rendered(notice, form);
  const filters: AccessLogFilter[] = [
    // Envoy wants a key by which somebody could change the number while it runs; nobody here can.
    { statusCodeFilter: { comparison: { op: "EQ", value: { defaultValue: status, runtimeKey: "taskgate.never" } } } },
    ...(flags === undefined ? [] : [{ responseFlagFilter: { flags: [...flags] } }]),
    { metadataFilter: { matcher: { filter: SAID_BY_GATE, path: [{ key: "code" }], value: { nullMatch: {} } }, matchIfKeyNotFound: true } }, // prettier-ignore
    ...when.map((header) => ({ headerFilter: { header } })),
  ];
  return {
    filter: { andFilter: { filters } },
    statusCode: notice.status,
    bodyFormatOverride: { textFormatSource: { inlineString: formatted(body) }, contentType: type },
    headersToAdd: headers,
  };
}

/** A host's name as a pattern. */
function literal(host: string): string {
  return host.replaceAll(".", "[.]");
}

/** Its type apart from the other fields. */
function rendered(notice: Notice, form: Form) {
  const { fields, body } = envoyNotice({ ...notice, requestId: REQUEST_ID }, form);
  const others = fields.filter(([name]) => name !== "content-type");
  return {
    type: new Map(fields).get("content-type") ?? "text/plain",
    headers: others.map(([name, value]) => set(name, formatted(value))),
    body,
  };
}

/** Stands where Envoy has the request's id put. */
const REQUEST_ID = "REQUEST-ID";

/** As Envoy's formats have it, in which a percent sign begins a command. */
function formatted(text: string): string {
  return text.replaceAll("%", "%%").replaceAll(REQUEST_ID, "%REQ(x-request-id)%");
}
