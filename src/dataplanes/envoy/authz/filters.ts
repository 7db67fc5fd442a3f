import { hash } from "node:crypto";
import { ERROR_HEADER } from "../../pages.ts";
import type { Entries, SessionKey } from "../../../model/index.ts";
import { ID_HEADER } from "../../route-index.ts";
import { FRONT_HEADER } from "../../visitor-of.ts";
import { CONTROL_CLUSTER } from "../names.ts";
import { type Any, type Message, pack, typeUrl } from "../proto/kit.ts";
import type { ConfigSource, ExtensionConfigSource } from "../proto/tables/config-source.ts";
import type { HttpFilter } from "../proto/tables/connection-manager.ts";
import { ExtAuthz } from "../proto/tables/ext-authz.ts";
import { Composite, HttpHeaderMutation, Lua } from "../proto/tables/http-filters.ts";
import type { HeaderMutationRule } from "../proto/tables/route.ts";
import { MetadataInputMatcher, type StringMatcher } from "../proto/tables/matcher.ts";
import { DynamicMetadataInput, type Predicate } from "../proto/tables/xds-matcher.ts";
import { allOf, answerHeader, anyOf, not, pattern, requestHeader } from "../watch/predicates.ts";
import { execute, madeWhere } from "../resources/made-where.ts";
import { answerScript, FACT, OWN_FIELD } from "./answer-script.ts";
import { answerTrailerPattern, fieldPattern, requestTrailerPattern } from "./field-pattern.ts";
import { loginScript } from "./login-script.ts";
import { FILTER, FRONT_PROTO_HEADER, LOGIN_HEADER, LOOKED_AT_HEADER, POLICY_KEY } from "./names.ts";
import { DUE, type Judged, passFilter } from "./pass-filter.ts";
import { KEY } from "./service-metadata.ts";
import { sessionFilter } from "./session-filter.ts";

/** Beginning of the value of `LOGIN_HEADER`. */
const UNDECIDED = "=";
/** Of that of `LOOKED_AT_HEADER`. */
const BY = "by-";
/** So long a request waits for the gate, which itself may ask others. */
const ASK_TIMEOUT = "20s";
/** So long one waits that may pass anyway. */
const RENEW_TIMEOUT = "2s";

export interface FilterSettings {
  /** Names of fields that may hold credentials, beside `Authorization`, in lower case. */
  readonly credentialFields: readonly string[];
  /** Value of `x-tg-own` in answers that are the gate's own; nobody else may know it. */
  readonly ownSecret: string;
  readonly secure: boolean;
  /** Where the filter of a name comes from. */
  readonly sourceOf: (name: string) => ConfigSource;
}

/** What is done to a request before anything else: no visitor's word for who they are stays, nor what only the gate may say. */
export function earlyMutations({ credentialFields }: FilterSettings): HeaderMutationRule[] {
  return [without(fieldPattern([ID_HEADER, ...credentialFields]))];
}

/** The same for what a front sends, whose word for whom it asks counts: by that it is known, and by that alone. */
export function earlyMutationsOfFronts({ credentialFields }: FilterSettings): HeaderMutationRule[] {
  return [
    without(fieldPattern([ID_HEADER, ...FRONT_SAYS, ...credentialFields])),
    set(FRONT_HEADER, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"),
    // Where a front says nothing Envoy puts what it sees itself, which is what the front speaks.
    set(FRONT_PROTO_HEADER, "%REQ(x-forwarded-proto)%"),
  ];
}

const FRONT_SAYS = ["x-forwarded-for", "x-forwarded-proto"];

/** Who may pass, and what both sides see of the other's fields. In the order of requests; what routes comes after them. */
export function httpFilters(settings: FilterSettings): HttpFilter[] {
  const { sourceOf } = settings;
  const [known, ask] = [discovered(Lua, sourceOf(FILTER.known)), discovered(Composite, sourceOf(FILTER.ask))];
  const lookedAt = requestHeader(LOOKED_AT_HEADER, { prefix: BY });
  return [
    fieldsFilter(settings),
    { name: FILTER.known, configDiscovery: known },
    { name: FILTER.ask, configDiscovery: ask },
    {
      name: "taskgate.strip",
      typedConfig: madeWhere(lookedAt, execute({ dynamicConfig: { name: FILTER.known, configDiscovery: known } })),
    },
    answersFilter(settings),
  ];
}

export interface LoginSettings {
  /** Name of the session cookie. */
  readonly cookie: string;
  readonly keys: Entries<SessionKey>;
  readonly judged: Judged;
}

/**
 * What comes by ECDS, by its names. Who is not known again is decided about by a chain of its own, of which nothing is made for all others: the
 * session is verified, it is said by what the request may pass, and the gate is asked where that is needed. That is the last of it, as a request
 * that has waited goes on after the chain.
 */
export function loginFilters({ cookie, keys, judged }: LoginSettings): Readonly<Record<string, Any>> {
  const [session, pass] = [sessionFilter(cookie, keys), passFilter(judged)];
  const rules = BY + hash("sha256", JSON.stringify([session, pass]), "base64url");
  const typedConfig = [
    { name: FILTER.fields, typedConfig: requestMutations([set(LOOKED_AT_HEADER, rules)]) },
    { name: FILTER.session, typedConfig: session },
    { name: FILTER.pass, typedConfig: pass },
    asking(POLICY_KEY, { prefix: DUE }, { timeout: RENEW_TIMEOUT, lenient: true }),
    asking("shadow_engine_result", { exact: "denied" }, { timeout: ASK_TIMEOUT, lenient: false }),
  ];
  return {
    [FILTER.known]: loginScript({ cookie, judged, rules }),
    [FILTER.ask]: madeWhere(
      requestHeader(LOGIN_HEADER, { prefix: UNDECIDED }),
      execute({ filterChain: { typedConfig } }),
    ),
  };
}

function requestMutations(mutations: HeaderMutationRule[]): Any {
  return pack(HttpHeaderMutation, { mutations: { requestMutations: mutations } });
}

const ANY = pattern(".*");

function without(names: string): HeaderMutationRule {
  return { removeOnMatch: { keyMatcher: { safeRegex: { regex: names } } } };
}

function set(key: string, value: string): HeaderMutationRule {
  return { append: { header: { key, value }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" } };
}

function discovered(of: Message<unknown>, configSource: ConfigSource): ExtensionConfigSource {
  return { configSource, typeUrls: [typeUrl(of)] };
}

interface Asking {
  readonly timeout: `${number}s`;
  /** Whether it passes where the gate does not answer. */
  readonly lenient: boolean;
}

/** Asks the gate, where what was said of the request by `FILTER.pass` wants it. */
function asking(key: string, stringMatch: StringMatcher, { timeout, lenient }: Asking) {
  const typedConfig = pack(ExtAuthz, {
    transportApiVersion: "V3",
    grpcService: { envoyGrpc: { clusterName: CONTROL_CLUSTER }, timeout },
    encodeRawHeaders: true,
    clearRouteCache: true,
    failureModeAllow: lenient,
    statusOnError: { code: "ServiceUnavailable" },
    filterEnabledMetadata: { filter: FILTER.pass, path: [{ key }], value: { stringMatch } },
  });
  return { name: FILTER.ask, typedConfig };
}

/** What a filter said of a request, in its metadata. */
function filterSays(filter: string, key: string, stringMatch: StringMatcher): Predicate {
  const typedConfig = pack(DynamicMetadataInput, { filter, path: [{ key }] });
  const value = pack(MetadataInputMatcher, { value: { stringMatch } });
  const customMatch = { name: "value", typedConfig: value };
  return { singlePredicate: { input: { name: "said", typedConfig }, customMatch } };
}

/** Fields of answers by which a job could say what is the gate's to say. */
const JUDGED = ["set-cookie", "location", ERROR_HEADER, "proxy-status", OWN_FIELD, FACT.frameReplaces];
const PAGE = "(?i)\\s*(?:text/html|application/xhtml\\+xml|image/svg\\+xml|(?:text|application)/xml)\\s*(?:;.*)?";

/** Answers that are looked at: most are none of them. */
const LOOKED_AT: Predicate = anyOf(
  ...JUDGED.map((name) => answerHeader(name, ANY)),
  filterSays(FILTER.ask, KEY.frameReplaces, { exact: "yes" }),
  // A page that says something, but not of frames; or nothing.
  allOf(
    not(answerHeader("x-frame-options", ANY)),
    not(answerHeader("content-security-policy", { contains: "frame-ancestors", ignoreCase: true })),
    anyOf(answerHeader("content-type", pattern(PAGE)), not(answerHeader("content-type", ANY))),
  ),
);

/** Where an answer is looked at, these two say what it is judged by, and judge it. */
function answersFilter({ ownSecret, secure }: FilterSettings): HttpFilter {
  const responseMutations = [
    set(FACT.details, "%RESPONSE_CODE_DETAILS%"),
    set(FACT.host, "%REQ(x-forwarded-host?:authority)%"),
    set(FACT.scheme, secure ? "https" : "http"),
    set(FACT.address, "%UPSTREAM_REMOTE_ADDRESS%"),
    ...Object.entries(FACT_OF).flatMap(([key, fact]) => [
      { remove: fact },
      set(fact, `%CLUSTER_METADATA(taskgate:${key})%`),
      set(fact, `%DYNAMIC_METADATA(${FILTER.ask}:${key})%`),
    ]),
  ];
  const facts = pack(HttpHeaderMutation, { mutations: { responseMutations } });
  const script = pack(Lua, { defaultSourceCode: { inlineString: answerScript(ownSecret) } });
  const typedConfig = [
    { name: "taskgate.judge", typedConfig: script },
    { name: "taskgate.facts", typedConfig: facts },
  ];
  return { name: "taskgate.answers", typedConfig: madeWhere(LOOKED_AT, execute({ filterChain: { typedConfig } })) };
}

/** What the metadata of a service, or of the gate's answer, say of an answer. */
const FACT_OF = Object.freeze({
  [KEY.frame]: FACT.frame,
  [KEY.frameReplaces]: FACT.frameReplaces,
  [KEY.prefix]: FACT.prefix,
  [KEY.rewritesHost]: FACT.rewritesHost,
  [KEY.sticky]: FACT.sticky,
});

/** Says what the service asks of visitors, and takes out of trailers what is nobody's to say there. */
function fieldsFilter({ credentialFields }: FilterSettings): HttpFilter {
  const typedConfig = pack(HttpHeaderMutation, {
    mutations: {
      requestMutations: [set(LOGIN_HEADER, `${UNDECIDED}%CLUSTER_METADATA(taskgate:${KEY.login})%`)],
      requestTrailersMutations: [without(requestTrailerPattern(["cookie", "authorization", ...credentialFields]))],
      responseTrailersMutations: [
        without(answerTrailerPattern(["set-cookie", "proxy-status", ERROR_HEADER, "x-tg-.*"])),
      ],
    },
  });
  return { name: FILTER.fields, typedConfig };
}
