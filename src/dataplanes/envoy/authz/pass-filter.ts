import { ID_HEADER } from "../../route-index.ts";
import { type Any, pack } from "../proto/kit.ts";
import { HttpRbac, type Permission, type Policy } from "../proto/tables/rbac.ts";
import { and, CLAIMS, claim, equals, type Expression, is, isAhead, ofRequest, ofService } from "./cel.ts";
import { KEY, MODE } from "./service-metadata.ts";

/** What is void although its signature is good. Times are epoch ms. */
export interface Revoked {
  /** Of sessions, and of the logins that they came from. */
  readonly ids: readonly string[];
  /** Whatever they were given until then, by what jobs are told of who they are. */
  readonly users: readonly { readonly told: string; readonly at: number }[];
  /** All that was issued until then is asked about. */
  readonly before: number;
}

/** What the gate must be asked about, whatever the session. */
export interface Judged {
  readonly revoked: Revoked;
  /** Names of fields that may hold credentials, beside `Authorization`, in lower case. */
  readonly credentialFields: readonly string[];
  /** Names of fields by which requests find their service, in lower case. */
  readonly routingFields: readonly string[];
}

/** Name of the policy of those who come with a session, by themselves or from a page of the service. */
export const BY_SESSION = "a-session";
/** Beginning of the name of the policy that says: may pass, and the gate is to renew the session if it can be asked. */
export const DUE = "b-due";

/**
 * Says of each request whether it may pass without a question (`shadow_engine_result`) and by what (`shadow_effective_policy_id`); stops
 * nothing itself. Policies are tried in the order of their names:
 *
 * - `a-session`: by a session that is of this very route and its rules of today, and not yet to be renewed
 * - `b-due`: the same, and it is
 * - each once more (`-page`) for what a page of the service itself sends, by its `Origin`
 * - `c-public`: nobody has to say who they are, and nobody does
 * - `d-self`: the service itself asks who comes
 *
 * each of them once more (`-app`) for requests whose `Authorization` is the app's affair.
 */
export function passFilter(judged: Judged): Any {
  const usual = not(
    ...[ID_HEADER, ...judged.credentialFields, ...judged.routingFields].map(has),
    says(":path", { contains: "/.taskgate" }),
    says(":method", { exact: "CONNECT" }),
  );
  const sameOrigin = says("sec-fetch-site", { exact: "same-origin" });
  // Also of requests that change nothing: what pages elsewhere may read of an answer, the gate says.
  const anonymous = all(usual, any(not(has("origin")), sameOrigin), not(says("cookie", OWN_COOKIE)));
  const valid = notRevoked(judged.revoked);
  const steady = all(usual, any(harmless(), sameOrigin), ...valid);
  // Browsers that say nothing more of a WebSocket, or at all.
  const fromPage = all(usual, has("origin"), not(has("sec-fetch-site")), ...valid);
  const ofOwnPage = equals(ofRequest("origin"), ofService(KEY.origin));
  const ofRoute = equals(claim("fp"), ofService(KEY.fingerprint));
  const policies: readonly Pass[] = [
    { name: BY_SESSION, permission: steady, condition: and(ofRoute, isAhead(claim("rnw"))) },
    { name: `${BY_SESSION}-page`, permission: fromPage, condition: and(ofRoute, ofOwnPage, isAhead(claim("rnw"))) },
    { name: DUE, permission: steady, condition: and(ofRoute, isAhead(claim("per"))) },
    { name: `${DUE}-page`, permission: fromPage, condition: and(ofRoute, ofOwnPage, isAhead(claim("per"))) },
    { name: "c-public", permission: anonymous, condition: is(ofService(KEY.mode), MODE.public) },
    { name: "d-self", permission: anonymous, condition: is(ofService(KEY.mode), MODE.self) },
  ];
  const shadowRules = { action: "ALLOW", policies: Object.fromEntries(policies.flatMap(bothWays)) } as const;
  return pack(HttpRbac, { shadowRules });
}

interface Pass {
  readonly name: string;
  readonly permission: Permission;
  readonly condition: Expression;
}

/** Without `Authorization`, and with one that is the app's. */
function bothWays({ name, permission, condition }: Pass): [string, Policy][] {
  const ofApp = all(has("authorization"), not(says("authorization", HOLDS_TOKEN)));
  return [
    [name, policy(all(not(has("authorization")), permission), condition)],
    [`${name}-app`, policy(all(ofApp, permission), and(is(ofService(KEY.authorization), "app"), condition))],
  ];
}

function policy(permission: Permission, condition: Expression): Policy {
  return { permissions: [permission], principals: [{ any: true }], condition };
}

/** Nobody can do harm by making a browser send it: it changes nothing, opens nothing, and no page elsewhere reads the answer. */
function harmless(): Permission {
  const safe = ["GET", "HEAD", "OPTIONS", "TRACE"].map((method) => says(":method", { exact: method }));
  return all(any(...safe), not(has("upgrade"), has("origin")));
}

function notRevoked({ ids, users, before }: Revoked): readonly Permission[] {
  const issuedUntil = (at: number): Permission =>
    ofClaim("iat", { doubleMatch: { range: { start: 0, end: seconds(at) } } });
  const found = [
    ...(ids.length === 0
      ? []
      : [ofClaim("sid", { stringMatch: regex(`(?:${ids.map(literal).join("|")})(?:[.].*)?`) })]),
    ...users.map(({ told, at }) => all(ofClaim("xu", { stringMatch: { exact: told } }), issuedUntil(at))),
    ...(before === 0 ? [] : [issuedUntil(before)]),
  ];
  return found.length === 0 ? [] : [not(...found)];
}

/** End of a range of whole seconds that holds this moment, which the range itself leaves out. */
function seconds(at: number): number {
  return Math.floor(at / 1000) + 1;
}

type Value = NonNullable<NonNullable<NonNullable<Permission["sourcedMetadata"]>["metadataMatcher"]>["value"]>;
type Text = NonNullable<NonNullable<Permission["header"]>["stringMatch"]>;

function ofClaim(name: string, value: Value): Permission {
  const metadataMatcher = { filter: "envoy.filters.http.jwt_authn", path: [{ key: CLAIMS }, { key: name }], value };
  return { sourcedMetadata: { metadataMatcher } };
}

/** Ids are made of letters, digits, `-`, `_` and `.`. */
function literal(id: string): string {
  return id.replaceAll(".", "[.]");
}

function regex(pattern: string): Text {
  return { safeRegex: { regex: pattern } };
}

/** A cookie of the gate among others, whatever its prefix. */
const OWN_COOKIE: Text = { contains: "taskgate-", ignoreCase: true };
/** What `holdsToken` of the gate's own way in looks for. */
const HOLDS_TOKEN: Text = regex("(?i).*(?:(?:^|[\\s,])bearer\\s+tg_|(?:^|[^a-z0-9])tg_[a-z2-7]{12}_).*");

function has(name: string): Permission {
  return { header: { name, presentMatch: true } };
}

function says(name: string, stringMatch: Text): Permission {
  return { header: { name, stringMatch } };
}

function all(...rules: readonly Permission[]): Permission {
  return { andRules: { rules: [...rules] } };
}

function any(...rules: readonly Permission[]): Permission {
  return { orRules: { rules: [...rules] } };
}

/** None of these. */
function not(...rules: readonly Permission[]): Permission {
  return { notRule: rules.length === 1 ? rules[0] : any(...rules) };
}
