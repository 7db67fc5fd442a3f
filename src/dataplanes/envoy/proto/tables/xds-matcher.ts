import { bool, bytes, double, enumeration, field, int64, map, message, repeated, string, uint64 } from "../kit.ts";
import type { Value } from "../kit.ts";
import { XdsCidrRange } from "./address.ts";
import { XdsTypedExtensionConfig } from "./core.ts";

/** xds.type.matcher.v3 with inputs and CEL, and the expressions of google.api.expr.v1alpha1. */

export const Constant = message("google.api.expr.v1alpha1.Constant", {
  nullValue: enumeration(1, { NULL_VALUE: 0 }),
  boolValue: bool(2),
  int64Value: int64(3),
  uint64Value: uint64(4),
  doubleValue: double(5),
  stringValue: string(6),
  bytesValue: bytes(7),
});
export type Constant = Value<typeof Constant>;

export const ExprIdent = message("google.api.expr.v1alpha1.Expr.Ident", {
  name: string(1),
});
export type ExprIdent = Value<typeof ExprIdent>;

export const ExprSelect = message("google.api.expr.v1alpha1.Expr.Select", {
  get operand() {
    return field(1, Expr);
  },
  field: string(2),
  testOnly: bool(3),
});
export type ExprSelect = Value<typeof ExprSelect>;

export const ExprCall = message("google.api.expr.v1alpha1.Expr.Call", {
  get target() {
    return field(1, Expr);
  },
  function: string(2),
  get args() {
    return repeated(field(3, Expr));
  },
});
export type ExprCall = Value<typeof ExprCall>;

export const ExprCreateList = message("google.api.expr.v1alpha1.Expr.CreateList", {
  get elements() {
    return repeated(field(1, Expr));
  },
});
export type ExprCreateList = Value<typeof ExprCreateList>;

export const CreateStructEntry = message("google.api.expr.v1alpha1.Expr.CreateStruct.Entry", {
  id: int64(1),
  fieldKey: string(2),
  get mapKey() {
    return field(3, Expr);
  },
  get value() {
    return field(4, Expr);
  },
});
export type CreateStructEntry = Value<typeof CreateStructEntry>;

export const ExprCreateStruct = message("google.api.expr.v1alpha1.Expr.CreateStruct", {
  messageName: string(1),
  entries: repeated(field(2, CreateStructEntry)),
});
export type ExprCreateStruct = Value<typeof ExprCreateStruct>;

export const ExprComprehension = message("google.api.expr.v1alpha1.Expr.Comprehension", {
  iterVar: string(1),
  get iterRange() {
    return field(2, Expr);
  },
  accuVar: string(3),
  get accuInit() {
    return field(4, Expr);
  },
  get loopCondition() {
    return field(5, Expr);
  },
  get loopStep() {
    return field(6, Expr);
  },
  get result() {
    return field(7, Expr);
  },
});
export type ExprComprehension = Value<typeof ExprComprehension>;

export const Expr = message("google.api.expr.v1alpha1.Expr", {
  id: int64(2),
  constExpr: field(3, Constant),
  identExpr: field(4, ExprIdent),
  selectExpr: field(5, ExprSelect),
  callExpr: field(6, ExprCall),
  listExpr: field(7, ExprCreateList),
  structExpr: field(8, ExprCreateStruct),
  comprehensionExpr: field(9, ExprComprehension),
});
export type Expr = Value<typeof Expr>;

export const ParsedExpr = message("google.api.expr.v1alpha1.ParsedExpr", {
  expr: field(2, Expr),
});
export type ParsedExpr = Value<typeof ParsedExpr>;

export const CelExpression = message("xds.type.v3.CelExpression", {
  parsedExpr: field(1, ParsedExpr),
  celExprString: string(5),
});
export type CelExpression = Value<typeof CelExpression>;

export const CelMatcher = message("xds.type.matcher.v3.CelMatcher", {
  exprMatch: field(1, CelExpression),
  description: string(2),
});
export type CelMatcher = Value<typeof CelMatcher>;

export const XdsGoogleRE2 = message("xds.type.matcher.v3.RegexMatcher.GoogleRE2", {});

export const XdsRegexMatcher = message("xds.type.matcher.v3.RegexMatcher", {
  googleRe2: field(1, XdsGoogleRE2),
  regex: string(2),
});
export type XdsRegexMatcher = Value<typeof XdsRegexMatcher>;

export const XdsStringMatcher = message("xds.type.matcher.v3.StringMatcher", {
  exact: string(1),
  prefix: string(2),
  suffix: string(3),
  safeRegex: field(5, XdsRegexMatcher),
  contains: string(7),
  ignoreCase: bool(6),
  custom: field(8, XdsTypedExtensionConfig),
});
export type XdsStringMatcher = Value<typeof XdsStringMatcher>;

export const SinglePredicate = message("xds.type.matcher.v3.Matcher.MatcherList.Predicate.SinglePredicate", {
  input: field(1, XdsTypedExtensionConfig),
  valueMatch: field(2, XdsStringMatcher),
  customMatch: field(3, XdsTypedExtensionConfig),
});
export type SinglePredicate = Value<typeof SinglePredicate>;

export const PredicateList = message("xds.type.matcher.v3.Matcher.MatcherList.Predicate.PredicateList", {
  get predicate() {
    return repeated(field(1, Predicate));
  },
});
export type PredicateList = Value<typeof PredicateList>;

export const Predicate = message("xds.type.matcher.v3.Matcher.MatcherList.Predicate", {
  singlePredicate: field(1, SinglePredicate),
  orMatcher: field(2, PredicateList),
  andMatcher: field(3, PredicateList),
  get notMatcher() {
    return field(4, Predicate);
  },
});
export type Predicate = Value<typeof Predicate>;

export const FieldMatcher = message("xds.type.matcher.v3.Matcher.MatcherList.FieldMatcher", {
  predicate: field(1, Predicate),
  get onMatch() {
    return field(2, OnMatch);
  },
});
export type FieldMatcher = Value<typeof FieldMatcher>;

export const MatcherList = message("xds.type.matcher.v3.Matcher.MatcherList", {
  matchers: repeated(field(1, FieldMatcher)),
});
export type MatcherList = Value<typeof MatcherList>;

export const MatchMap = message("xds.type.matcher.v3.Matcher.MatcherTree.MatchMap", {
  get map() {
    return map(field(1, OnMatch));
  },
});
export type MatchMap = Value<typeof MatchMap>;

export const MatcherTree = message("xds.type.matcher.v3.Matcher.MatcherTree", {
  input: field(1, XdsTypedExtensionConfig),
  exactMatchMap: field(2, MatchMap),
  prefixMatchMap: field(3, MatchMap),
  customMatch: field(4, XdsTypedExtensionConfig),
});
export type MatcherTree = Value<typeof MatcherTree>;

export const Matcher = message("xds.type.matcher.v3.Matcher", {
  matcherList: field(1, MatcherList),
  matcherTree: field(2, MatcherTree),
  get onNoMatch() {
    return field(3, OnMatch);
  },
});
export type Matcher = Value<typeof Matcher>;

export const OnMatch = message("xds.type.matcher.v3.Matcher.OnMatch", {
  matcher: field(1, Matcher),
  action: field(2, XdsTypedExtensionConfig),
  keepMatching: bool(3),
});
export type OnMatch = Value<typeof OnMatch>;

export const HttpAttributesCelMatchInput = message("xds.type.matcher.v3.HttpAttributesCelMatchInput", {});

export const ServerNameInput = message("envoy.extensions.matching.common_inputs.network.v3.ServerNameInput", {});

export const TransportProtocolInput = message(
  "envoy.extensions.matching.common_inputs.network.v3.TransportProtocolInput",
  {},
);

export const DynamicMetadataInputPathSegment = message(
  "envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput.PathSegment",
  { key: string(1) },
);
export type DynamicMetadataInputPathSegment = Value<typeof DynamicMetadataInputPathSegment>;

export const DynamicMetadataInput = message("envoy.extensions.matching.common_inputs.network.v3.DynamicMetadataInput", {
  filter: string(1),
  path: repeated(field(2, DynamicMetadataInputPathSegment)),
});
export type DynamicMetadataInput = Value<typeof DynamicMetadataInput>;

export const SourceIPInput = message("envoy.extensions.matching.common_inputs.network.v3.SourceIPInput", {});

export const IPRangeMatcher = message("xds.type.matcher.v3.IPMatcher.IPRangeMatcher", {
  ranges: repeated(field(1, XdsCidrRange)),
  onMatch: field(2, OnMatch),
  exclusive: bool(3),
});
export type IPRangeMatcher = Value<typeof IPRangeMatcher>;

export const IPMatcher = message("xds.type.matcher.v3.IPMatcher", {
  rangeMatchers: repeated(field(1, IPRangeMatcher)),
});
export type IPMatcher = Value<typeof IPMatcher>;
