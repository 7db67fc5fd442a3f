import { fieldKey, isIdentityField } from "../../../model/index.ts";
import { ERROR_HEADER } from "../../pages.ts";
import { ID_HEADER } from "../../route-index.ts";
import { FRONT_HEADER } from "../../visitor-of.ts";

/** What a field means to a gate. Only the exact name means anything (RFC 9110 §5.1): `Content_Length` frames nothing. */
export type FieldKind =
  | "other"
  | "connection"
  | "content-length"
  | "cookie"
  | "date"
  | "expect"
  | "host"
  | "location"
  | "origin"
  | "referer"
  | "set-cookie"
  | "te"
  | "trailer"
  | "transfer-encoding"
  | "upgrade"
  | "via";

const KINDS: ReadonlySet<string> = new Set<FieldKind>([
  ...(["connection", "content-length", "cookie", "date", "expect", "host", "location", "origin", "referer"] as const),
  ...(["set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "via"] as const),
]);

/** All that is to be known of a field by its name alone, found out once for every spelling. */
export interface FieldName {
  /** As on the wire. */
  readonly spelled: string;
  readonly lower: string;
  /** As the loosest program reads it: see `fieldKey`. */
  readonly key: string;
  readonly kind: FieldKind;
  /** Never passed on from a visitor as it came, whatever the message says. */
  readonly notForJob: boolean;
  /** Never passed on from a job as it came. */
  readonly notForVisitor: boolean;
  /** Says who is asking: see `isIdentityField`. */
  readonly identity: boolean;
  /** Takes a closer look before it is passed on: neither simply kept nor simply dropped. */
  readonly special: boolean;
}

/** Of one connection, never of the whole way (RFC 9110 §7.6.1), and framing, which is ours to say. */
const HOP_BY_HOP = [
  ...["connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "transfer-encoding", "upgrade"],
  "http2-settings",
];
const NOT_FOR_JOB: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "proxy-authorization",
  // What the visitor says about itself, and a front about it, is dropped: the gate says what it knows of that.
  ...["forwarded", "x-real-ip"],
  // The flow has the right ones.
  ...["x-request-id", "traceparent", "tracestate"],
  ...[ID_HEADER, FRONT_HEADER, "host", "content-length", "expect", "trailer"],
]);
const NOT_FOR_VISITOR: ReadonlySet<string> = new Set(HOP_BY_HOP);
const FORWARDING_PREFIX = "x-forwarded-";
const SPECIAL: ReadonlySet<string> = new Set([
  ...["cookie", "origin", "referer", "set-cookie", "location", "content-length", "trailer", ERROR_HEADER],
  ...["proxy-status", "x-frame-options", "content-security-policy"],
  ...["access-control-allow-origin", "access-control-allow-credentials"],
]);

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Spellings that are remembered: all that real programs use fit; what an attacker makes up beyond that is only slower. */
const REMEMBERED_MAX = 2000;
const REMEMBERED_LENGTH = 64;
const remembered = new Map<string, FieldName>();

/** null: no field has such a name. */
export function fieldName(spelled: string): FieldName | null {
  return remembered.get(spelled) ?? learn(spelled);
}

function learn(spelled: string): FieldName | null {
  if (!TOKEN.test(spelled)) return null;
  const name = describe(spelled);
  if (remembered.size < REMEMBERED_MAX && spelled.length <= REMEMBERED_LENGTH) remembered.set(name.spelled, name);
  return name;
}

function describe(part: string): FieldName {
  const spelled = Buffer.from(part, "latin1").toString("latin1"); // a copy: a slice would keep its whole message in memory
  const lower = spelled.toLowerCase();
  const key = fieldKey(spelled);
  return Object.freeze({
    ...{ spelled, lower, key },
    kind: KINDS.has(lower) ? (lower as FieldKind) : "other",
    notForJob: NOT_FOR_JOB.has(key) || key.startsWith(FORWARDING_PREFIX),
    notForVisitor: NOT_FOR_VISITOR.has(key),
    identity: isIdentityField(spelled),
    special: SPECIAL.has(key),
  });
}
