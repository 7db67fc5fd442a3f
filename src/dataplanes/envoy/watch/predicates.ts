import { pack } from "../proto/kit.ts";
import { HttpRequestHeaderMatchInput, HttpResponseHeaderMatchInput } from "../proto/tables/matcher.ts";
import {
  CelMatcher,
  HttpAttributesCelMatchInput,
  type Expr,
  type Predicate,
  type XdsStringMatcher,
} from "../proto/tables/xds-matcher.ts";

/** What Envoy's matchers are asked about a request, as xds.type.matcher.v3 has it. A header that is not there matches nothing. */

export function requestHeader(headerName: string, valueMatch: XdsStringMatcher): Predicate {
  const typedConfig = pack(HttpRequestHeaderMatchInput, { headerName });
  return { singlePredicate: { input: { name: "request-header", typedConfig }, valueMatch } };
}

export function answerHeader(headerName: string, valueMatch: XdsStringMatcher): Predicate {
  const typedConfig = pack(HttpResponseHeaderMatchInput, { headerName });
  return { singlePredicate: { input: { name: "answer-header", typedConfig }, valueMatch } };
}

export function anyOf(...predicate: Predicate[]): Predicate {
  return { orMatcher: { predicate } };
}

export function allOf(...predicate: Predicate[]): Predicate {
  return { andMatcher: { predicate } };
}

export function not(notMatcher: Predicate): Predicate {
  return { notMatcher };
}

/** RE2, of the whole value. */
export function pattern(regex: string): XdsStringMatcher {
  return { safeRegex: { googleRe2: {}, regex } };
}

/** Whether the cluster's metadata, in the namespace, has `true` by the key. Its expression is written as a tree: Envoy has no parser of CEL. */
export function clusterSays(namespace: string, key: string): Predicate {
  return {
    singlePredicate: {
      input: { name: "cel", typedConfig: pack(HttpAttributesCelMatchInput, {}) },
      customMatch: {
        name: "cel",
        typedConfig: pack(CelMatcher, { exprMatch: { parsedExpr: { expr: metadataIsTrue(namespace, key) } } }),
      },
    },
  };
}

/** `xds.cluster_metadata.filter_metadata[NAMESPACE][KEY] == true` */
function metadataIsTrue(namespace: string, key: string): Expr {
  let id = 0;
  const text = (stringValue: string): Expr => ({ id: ++id, constExpr: { stringValue } });
  const call = (name: string, ...args: Expr[]): Expr => ({ id: ++id, callExpr: { function: name, args } });
  const select = (operand: Expr, field: string): Expr => ({ id: ++id, selectExpr: { operand, field } });
  const all = select(select({ id: ++id, identExpr: { name: "xds" } }, "cluster_metadata"), "filter_metadata");
  const found = call("_[_]", call("_[_]", all, text(namespace)), text(key));
  return call("_==_", found, { id: ++id, constExpr: { boolValue: true } });
}
