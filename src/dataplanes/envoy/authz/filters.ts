import { ERROR_HEADER } from "../../pages.ts";
import { ID_HEADER } from "../../route-index.ts";
import { CONTROL_CLUSTER } from "../names.ts";
import { type Any, pack, typeUrl } from "../proto/kit.ts";
import { ExtAuthz } from "../proto/tables/ext-authz.ts";
import {
  Composite,
  ExecuteFilterAction,
  ExtensionWithMatcher,
  HttpHeaderMutation,
  Lua,
} from "../proto/tables/http-filters.ts";
import { JwtAuthentication } from "../proto/tables/jwt-authn.ts";
import { HttpRbac } from "../proto/tables/rbac.ts";
import type { HeaderMutationRule } from "../proto/tables/route.ts";
import { MetadataInputMatcher, type StringMatcher } from "../proto/tables/matcher.ts";
import { DynamicMetadataInput, type FieldMatcher, type Predicate } from "../proto/tables/xds-matcher.ts";
import { allOf, answerHeader, anyOf, not, pattern } from "../watch/predicates.ts";
import { CLUSTER_HEADER } from "../resources/cluster-name.ts";
import { skippedWhere } from "../resources/skipped-where.ts";
import { answerScript, FACT, OWN_FIELD } from "./answer-script.ts";
import { COOKIE_SCRIPT } from "./cookie-script.ts";
import { everySpelling, fieldPattern } from "./field-pattern.ts";
import { DUE } from "./pass-filter.ts";
import { KEY } from "./service-metadata.ts";

/** Names of filters: some write metadata under theirs, so they are Envoy's own. The first two come by ECDS. */
export const FILTER = Object.freeze({
  session: "envoy.filters.http.jwt_authn",
  pass: "envoy.filters.http.rbac",
  ask: "envoy.filters.http.ext_authz",
  cookies: "taskgate.cookies",
  strip: "taskgate.strip",
});

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
}

/** What is done to a request before anything else: no visitor's word for who they are stays, nor what only the gate may say. */
export function earlyMutations({ credentialFields }: FilterSettings): HeaderMutationRule[] {
  return [without(fieldPattern([ID_HEADER, ...credentialFields]))];
}

/** Who may pass, and what both sides see of the other's fields. In the order of requests; what routes comes after them. */
export function httpFilters(settings: FilterSettings): object[] {
  return [
    discovered(FILTER.session, typeUrl(JwtAuthentication)),
    discovered(FILTER.pass, typeUrl(HttpRbac)),
    asking(),
    ...jobFilters(settings),
    ...answerFilters(settings),
  ];
}

const ANY = pattern(".*");

function without(names: string): HeaderMutationRule {
  return { removeOnMatch: { keyMatcher: { safeRegex: { regex: names } } } };
}

function set(key: string, value: string): HeaderMutationRule {
  return { append: { header: { key, value }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" } };
}

function discovered(name: string, url: string): object {
  return { name, configDiscovery: { configSource: { ads: {}, resourceApiVersion: "V3" }, typeUrls: [url] } };
}

/** Asks the gate, where what was said of the request wants it: nothing is made of this for one that passes. */
function asking(): object {
  const matchers = [
    askingWhere("shadow_effective_policy_id", { prefix: DUE }, { timeout: RENEW_TIMEOUT, lenient: true }),
    askingWhere("shadow_engine_result", { exact: "denied" }, { timeout: ASK_TIMEOUT, lenient: false }),
  ];
  const typedConfig = pack(ExtensionWithMatcher, {
    xdsMatcher: { matcherList: { matchers } },
    extensionConfig: { name: "composite", typedConfig: pack(Composite, {}) },
  });
  return { name: FILTER.ask, typedConfig };
}

interface Asking {
  readonly timeout: `${number}s`;
  /** Whether it passes where the gate does not answer. */
  readonly lenient: boolean;
}

function askingWhere(key: string, stringMatch: StringMatcher, { timeout, lenient }: Asking): FieldMatcher {
  const typedConfig = pack(ExtAuthz, {
    transportApiVersion: "V3",
    grpcService: { envoyGrpc: { clusterName: CONTROL_CLUSTER }, timeout },
    encodeRawHeaders: true,
    clearRouteCache: true,
    failureModeAllow: lenient,
    statusOnError: { code: "ServiceUnavailable" },
  });
  const execute = pack(ExecuteFilterAction, { typedConfig: { name: FILTER.ask, typedConfig } });
  return {
    predicate: filterSays(FILTER.pass, key, stringMatch),
    onMatch: { action: { name: "ask", typedConfig: execute } },
  };
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

/** Answers go through these from the last to the first. */
function answerFilters({ ownSecret, secure }: FilterSettings): object[] {
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
  return [
    onlyWhere(answerHeader(FACT.details, ANY), { name: "taskgate.answers", typedConfig: script }),
    onlyWhere(LOOKED_AT, { name: "taskgate.facts", typedConfig: facts }),
  ];
}

/** What the metadata of a service, or of the gate's answer, say of an answer. */
const FACT_OF = Object.freeze({
  [KEY.frame]: FACT.frame,
  [KEY.frameReplaces]: FACT.frameReplaces,
  [KEY.prefix]: FACT.prefix,
  [KEY.rewritesHost]: FACT.rewritesHost,
  [KEY.sticky]: FACT.sticky,
});

function onlyWhere(predicate: Predicate, filter: { readonly name: string; readonly typedConfig: Any }): object {
  return { name: filter.name, typedConfig: skippedWhere(not(predicate), filter) };
}

/** What the job must not see. */
function jobFilters({ credentialFields }: FilterSettings): object[] {
  const strip = pack(HttpHeaderMutation, {
    mutations: {
      requestMutations: [{ remove: CLUSTER_HEADER }, { remove: ID_HEADER }],
      requestTrailersMutations: [without(everySpelling(["cookie", "authorization", ...credentialFields]))],
      responseTrailersMutations: [without(`set-cookie|proxy-status|${ERROR_HEADER}|x-tg-.*`)],
    },
  });
  const cookies = pack(Lua, { defaultSourceCode: { inlineString: COOKIE_SCRIPT }, clearRouteCache: false });
  return [
    { name: FILTER.cookies, typedConfig: cookies },
    { name: FILTER.strip, typedConfig: strip },
  ];
}
