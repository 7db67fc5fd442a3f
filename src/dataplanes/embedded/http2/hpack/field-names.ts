import { isIdentityField } from "../../../../model/index.ts";
import { staticByName, type StaticName } from "./static-table.ts";

/** What is to be known of a name to send fields of it, found out once. */
export interface SentName {
  /** RFC 9113 §8.2.1 has no others. */
  readonly lower: string;
  readonly fixed: StaticName | null;
  /**
   * `table`: values come again. `apart`: each is another one, and would only drive others out of the table. `never`: a secret, that nobody on
   * the way may put into one either (RFC 7541 §7.1.3).
   */
  readonly indexing: "table" | "apart" | "never";
}

/** Visitors share the table of a session to a job: whether one's secret is in it must not show in the length of another's head (CRIME). */
const SECRET = /^(set-)?cookie$|(^|[-_.])(api-?key|auth|jwt|key|pass|secret|session|token)/;
const EACH_ITS_OWN: ReadonlySet<string> = new Set([
  ...[":path", "age", "content-length", "content-range", "date", "etag", "expires", "if-match", "if-modified-since"],
  ...["if-none-match", "if-range", "if-unmodified-since", "last-modified", "location", "range", "referer"],
  ...["x-request-id", "traceparent", "tracestate", "grpc-timeout", "grpc-message", "grpc-status-details-bin"],
]);

const REMEMBERED_MAX = 2000;
const REMEMBERED_LENGTH = 64;
const remembered = new Map<string, SentName>();

/** By a name in any spelling. The same spelling gives the same object, but for what is made up to fill memory. */
export function sentName(spelled: string): SentName {
  return remembered.get(spelled) ?? learn(spelled);
}

function learn(spelled: string): SentName {
  const lower = spelled.toLowerCase();
  const fixed = staticByName.get(lower) ?? null;
  const keeps = remembered.size < REMEMBERED_MAX && spelled.length <= REMEMBERED_LENGTH;
  const secret = SECRET.test(lower) || isIdentityField(lower);
  const apart = EACH_ITS_OWN.has(lower) || !keeps;
  const name: SentName = { lower, fixed, indexing: secret ? "never" : apart ? "apart" : "table" };
  // A copy as key: a slice would keep its whole message in memory.
  if (keeps) remembered.set(Buffer.from(spelled, "latin1").toString("latin1"), name);
  return name;
}
