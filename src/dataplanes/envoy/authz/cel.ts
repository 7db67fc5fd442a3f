/** Expressions of CEL as Envoy's configuration has them: parsed, for this Envoy reads no text of theirs. */
export type Expression = object;

const name = (of: string): Expression => ({ identExpr: { name: of } });
const text = (value: string): Expression => ({ constExpr: { stringValue: value } });
const field = (of: Expression, called: string): Expression => ({ selectExpr: { operand: of, field: called } });
const call = (called: string, ...args: readonly Expression[]): Expression => ({ callExpr: { function: called, args } });
const at = (of: Expression, key: string): Expression => call("_[_]", of, text(key));

/** Where jwt_authn puts the claims of a session. */
export const CLAIMS = "session";

/** What a filter said of the request, under its name. */
export function ofFilter(namespace: string, key: string): Expression {
  return at(at(field(name("metadata"), "filter_metadata"), namespace), key);
}

/** What the endpoint that the request was led to has in its metadata. */
export function ofEndpoint(namespace: string, key: string): Expression {
  return at(at(field(field(name("xds"), "upstream_host_metadata"), "filter_metadata"), namespace), key);
}

/** A claim of the session that was verified. Without one, or without that claim, whatever it stands in is false. */
export function claim(called: string): Expression {
  return at(ofFilter("envoy.filters.http.jwt_authn", CLAIMS), called);
}

/** What `serviceMetadata` says of the service that is asked for. */
export function ofService(key: string): Expression {
  return at(at(field(field(name("xds"), "cluster_metadata"), "filter_metadata"), "taskgate"), key);
}

/** What the gate said when it let the request pass. */
export function ofDecision(key: string): Expression {
  return ofFilter("envoy.filters.http.ext_authz", key);
}

/** A field of the request; false where it is not there. */
export function ofRequest(header: string): Expression {
  return at(field(name("request"), "headers"), header);
}

export function equals(one: Expression, other: Expression): Expression {
  return call("_==_", one, other);
}

export function is(one: Expression, value: string): Expression {
  return equals(one, text(value));
}

/** Whether a time, in seconds since 1970, is still to come. */
export function isAhead(seconds: Expression): Expression {
  return call("_<_", field(name("request"), "time"), call("timestamp", call("int", seconds)));
}

export function and(...all: readonly Expression[]): Expression {
  return all.reduce((before, next) => call("_&&_", before, next));
}
