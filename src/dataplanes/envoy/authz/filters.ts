import { ERROR_HEADER } from "../../pages.ts";
import { ID_HEADER } from "../../route-index.ts";
import { CONTROL_CLUSTER } from "../names.ts";
import { type Any, pack, typeUrl } from "../proto/kit.ts";
import { ExtAuthz } from "../proto/tables/ext-authz.ts";
import {
  ExtensionWithMatcher,
  HeaderToMetadata,
  HttpHeaderMutation,
  Lua,
  SkipFilter,
} from "../proto/tables/http-filters.ts";
import { JwtAuthentication } from "../proto/tables/jwt-authn.ts";
import { HttpRbac } from "../proto/tables/rbac.ts";
import { FilterConfig, type HeaderMutationRule } from "../proto/tables/route.ts";
import type { MetadataMatcher } from "../proto/tables/matcher.ts";
import type { Predicate } from "../proto/tables/xds-matcher.ts";
import { allOf, answerHeader, anyOf, not, pattern } from "../watch/predicates.ts";
import { CLUSTER_HEADER } from "../resources/cluster-name.ts";
import { answerScript, FACT, OWN_FIELD } from "./answer-script.ts";
import { fieldPattern } from "./field-pattern.ts";
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
    { name: FILTER.ask, typedConfig: asking({ onlyIf: { effective: DUE }, timeout: RENEW_TIMEOUT, lenient: true }) },
    { name: FILTER.ask, typedConfig: asking({ onlyIf: { result: "denied" }, timeout: ASK_TIMEOUT, lenient: false }) },
    ...jobFilters(),
    ...answerFilters(settings),
  ];
}

/** Overrides for the virtual host of the gate's own host: its service gets the credentials that were sent, and asks by itself who comes. */
export function gateHostFilters(): Record<string, Any> {
  const off = pack(FilterConfig, { disabled: true });
  return Object.fromEntries([FILTER.session, FILTER.pass, FILTER.ask].map((name) => [name, off]));
}

function without(names: string): HeaderMutationRule {
  return { removeOnMatch: { keyMatcher: { safeRegex: { regex: names } } } };
}

function set(key: string, value: string): HeaderMutationRule {
  return { append: { header: { key, value }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" } };
}

function add(key: string, value: string): HeaderMutationRule {
  return { append: { header: { key, value }, appendAction: "APPEND_IF_EXISTS_OR_ADD" } };
}

function discovered(name: string, url: string): object {
  return { name, configDiscovery: { configSource: { ads: {}, resourceApiVersion: "V3" }, typeUrls: [url] } };
}

interface Asking {
  readonly onlyIf: { readonly result: string } | { readonly effective: string };
  readonly timeout: `${number}s`;
  /** Whether it passes where the gate does not answer. */
  readonly lenient: boolean;
}

function asking({ onlyIf, timeout, lenient }: Asking): object {
  const filterEnabledMetadata: MetadataMatcher =
    "result" in onlyIf
      ? { filter: FILTER.pass, path: [{ key: "shadow_engine_result" }], value: { stringMatch: { exact: onlyIf.result } } }
      : { filter: FILTER.pass, path: [{ key: "shadow_effective_policy_id" }], value: { stringMatch: { prefix: onlyIf.effective } } }; // prettier-ignore
  return pack(ExtAuthz, {
    transportApiVersion: "V3",
    grpcService: { envoyGrpc: { clusterName: CONTROL_CLUSTER }, timeout },
    encodeRawHeaders: true,
    clearRouteCache: true,
    failureModeAllow: lenient,
    statusOnError: { code: "ServiceUnavailable" },
    filterEnabledMetadata,
  });
}

/** Fields of answers by which a job could say what is the gate's to say. */
const JUDGED: Predicate = anyOf(
  ...[
    "set-cookie",
    "location",
    "x-frame-options",
    "content-security-policy",
    ERROR_HEADER,
    "proxy-status",
    OWN_FIELD,
  ].map((name) => answerHeader(name, pattern(".*"))),
);

/** Pages that say nothing of who may frame them. */
const UNFRAMED: Predicate = allOf(
  not(
    anyOf(
      ...["x-frame-options", "content-security-policy", OWN_FIELD].map((name) => answerHeader(name, pattern(".*"))),
    ),
  ),
  anyOf(
    not(answerHeader("content-type", pattern(".*"))),
    answerHeader("content-type", pattern("(?i)\\s*(?:text/html|application/xhtml\\+xml|image/svg\\+xml|(?:text|application)/xml)\\s*(?:;.*)?")), // prettier-ignore
  ),
);

/** Answers go through these from the last to the first. */
function answerFilters({ ownSecret, secure }: FilterSettings): object[] {
  const responseMutations = [
    without("x-tg-(?:details|host|scheme|frame|frame-replaces|prefix|rewrites-host|address)"),
    set(FACT.details, "%RESPONSE_CODE_DETAILS%"),
    set(FACT.host, "%REQ(x-forwarded-host?:authority)%"),
    set(FACT.scheme, secure ? "https" : "http"),
    ...[KEY.frame, KEY.frameReplaces].flatMap((key) => [
      set(factOf(key), `%CLUSTER_METADATA(taskgate:${key})%`),
      set(factOf(key), `%DYNAMIC_METADATA(${FILTER.ask}:${key})%`),
    ]),
    set(FACT.prefix, `%CLUSTER_METADATA(taskgate:${KEY.prefix})%`),
    set(FACT.rewritesHost, `%CLUSTER_METADATA(taskgate:${KEY.rewritesHost})%`),
    set(FACT.address, "%UPSTREAM_REMOTE_ADDRESS%"),
  ];
  const frames = [
    add("content-security-policy", `%CLUSTER_METADATA(taskgate:${KEY.frame})%`),
    add("content-security-policy", `%DYNAMIC_METADATA(${FILTER.ask}:${KEY.frame})%`),
  ];
  return [
    onlyWhere(UNFRAMED, { name: "taskgate.frames", typedConfig: pack(HttpHeaderMutation, { mutations: { responseMutations: frames } }) }), // prettier-ignore
    onlyWhere(JUDGED, { name: "taskgate.answers", typedConfig: pack(Lua, { defaultSourceCode: { inlineString: answerScript(ownSecret) } }) }), // prettier-ignore
    onlyWhere(JUDGED, { name: "taskgate.facts", typedConfig: pack(HttpHeaderMutation, { mutations: { responseMutations } }) }), // prettier-ignore
  ];
}

function factOf(key: typeof KEY.frame | typeof KEY.frameReplaces): string {
  return key === KEY.frame ? FACT.frame : FACT.frameReplaces;
}

function onlyWhere(predicate: Predicate, extension: { readonly name: string; readonly typedConfig: Any }): object {
  const action = { name: "skip", typedConfig: pack(SkipFilter, {}) };
  const typedConfig = pack(ExtensionWithMatcher, {
    xdsMatcher: { matcherList: { matchers: [{ predicate: not(predicate), onMatch: { action } }] } },
    extensionConfig: extension,
  });
  return { name: extension.name, typedConfig };
}

/**
 * A pair of the gate's among cookies, with the separator on the one side or the other. All that lead are one match: a match looks at nothing
 * before it.
 */
const OWN_PAIR = "[\\s\\v]*(?:__(?:host|secure)-)?taskgate-[^;]*";
const OWN_COOKIES = `(?i)^(?:${OWN_PAIR}(?:;|$))+\\s*|;${OWN_PAIR}`;

/** What the job must not see; and, last of all, the mark of the gate's own answers, which no visitor sees. */
function jobFilters(): object[] {
  const cookies = pack(HeaderToMetadata, {
    requestRules: [
      {
        header: "cookie",
        remove: true,
        onHeaderPresent: {
          ...{ metadataNamespace: "taskgate", key: "cookie", type: "STRING" },
          regexValueRewrite: { pattern: { regex: OWN_COOKIES }, substitution: "" },
        },
      },
    ],
    responseRules: [
      {
        header: OWN_FIELD,
        remove: true,
        onHeaderPresent: { metadataNamespace: "taskgate", key: "own", type: "STRING", value: "yes" },
      },
    ],
  });
  const strip = pack(HttpHeaderMutation, {
    mutations: {
      requestMutations: [set("cookie", "%DYNAMIC_METADATA(taskgate:cookie)%"), { remove: CLUSTER_HEADER }],
      requestTrailersMutations: [without(`cookie|authorization|${fieldPattern([])}`)],
      responseTrailersMutations: [without(`set-cookie|proxy-status|${ERROR_HEADER}|x-tg-.*`)],
    },
  });
  return [
    { name: FILTER.cookies, typedConfig: cookies },
    { name: FILTER.strip, typedConfig: strip },
  ];
}
