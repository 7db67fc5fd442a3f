import { type Expression, is, ofDecision, ofService } from "../authz/cel.ts";
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

/** Whether `serviceMetadata` says this of the service that the request is led to. */
export function serviceSays(key: string, value: string): Predicate {
  return cel(is(ofService(key), value));
}

/** Whether the gate said this when it let the request pass. */
export function decisionSays(key: string, value: string): Predicate {
  return cel(is(ofDecision(key), value));
}

function cel(expression: Expression): Predicate {
  const expr = expression as Expr;
  return {
    singlePredicate: {
      input: { name: "cel", typedConfig: pack(HttpAttributesCelMatchInput, {}) },
      customMatch: { name: "cel", typedConfig: pack(CelMatcher, { exprMatch: { parsedExpr: { expr } } }) },
    },
  };
}
