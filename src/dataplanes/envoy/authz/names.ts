/** Names of filters: some write metadata under theirs, so they are Envoy's own. */
export const FILTER = Object.freeze({
  session: "envoy.filters.http.jwt_authn",
  pass: "envoy.filters.http.rbac",
  /** What decides about who is not known, as one; it comes by ECDS. What the gate answers is metadata of this name. */
  ask: "envoy.filters.http.ext_authz",
  /** Knows again who was let in; it comes by ECDS. Its metadata say by what session a request passed. */
  known: "taskgate.known",
  fields: "taskgate.fields",
});

/** While a request has this field, it is not decided whether it may pass; its value says what its service asks of visitors. */
export const LOGIN_HEADER = "x-tg-login";
/** And when it has this one, it was looked at, by the rules that its value stands for. */
export const LOOKED_AT_HEADER = "x-tg-looked-at";

/** In the metadata of `FILTER.pass`: the rule by which Envoy lets a request pass, by its session, also one that is due and could not be renewed, or whoever it is. */
export const POLICY_KEY = "shadow_effective_policy_id";
/** In the metadata of `FILTER.known`: the claims of the session's token, base64url, as they were verified. */
export const KNOWN_KEY = "session";

/** What a front says that its visitor speaks. */
export const FRONT_PROTO_HEADER = "x-tg-front-proto";
