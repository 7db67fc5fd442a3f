/** Where a request is in a trace (W3C Trace Context, level 1). */
export interface TraceParent {
  /** 32 hexadecimal digits, lower case, not all zero. */
  readonly traceId: string;
  /** Of whoever sent the request: 16 digits, likewise. */
  readonly spanId: string;
  /** Flags, 0 to 255; the lowest bit says that the sender keeps its part of the trace. */
  readonly flags: number;
}

/** Version 00 ends after its flags; of a version to come more may follow. Zeros and version ff are said to be invalid. */
const IDS = "(?!0{32})(?<traceId>[0-9a-f]{32})-(?!0{16})(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})";
const TRACEPARENT = new RegExp(`^(?:00-${IDS}|(?!00|ff)[0-9a-f]{2}-${IDS}(?:-.*)?)$`);

/** §3.2.2.4 and §4.3: of a version to come, what is known of it. null: malformed, so a new trace starts. */
export function parseTraceparent(value: string | undefined): TraceParent | null {
  const groups = value === undefined ? undefined : TRACEPARENT.exec(value)?.groups;
  if (groups === undefined) return null;
  const { traceId = "", spanId = "", flags = "" } = groups;
  return { traceId, spanId, flags: parseInt(flags, 16) };
}

/** As a header's value; whatever version came, this is version 00, whose one flag we know. */
export function formatTraceparent({ traceId, spanId, flags }: TraceParent): string {
  return `00-${traceId}-${spanId}-${(flags & 1) === 1 ? "01" : "00"}`;
}

const MOST_MEMBERS = 32;
const LONGEST_STATE = 4096;
const KEY = "[a-z0-9][a-z0-9_\\-*/]{0,240}(@[a-z][a-z0-9_\\-*/]{0,13})?";
const MEMBER = new RegExp(`^${KEY}=[\\x20-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{0,255}[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]$`);

/** §3.3.1: at most 32 members, no key twice. Passed on as it came, so there is nothing to take apart. */
export function isTracestate(value: string): boolean {
  if (value.length > LONGEST_STATE) return false;
  const members = value.split(",").map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""));
  const said = members.filter((member) => member !== "");
  if (said.length === 0 || members.length > MOST_MEMBERS || !said.every((member) => MEMBER.test(member))) return false;
  return new Set(said.map((member) => member.slice(0, member.indexOf("=")))).size === said.length;
}
