import { IDENTITY_FAMILIES, IDENTITY_HEADERS } from "../../../model/index.ts";

/** Any sign that some program reads as `-` in a field's name. */
const SIGN = "[^a-z0-9]";

/** By which proxies say where a request comes from, and by which the gate's own parts talk to each other. */
const PROXY_FAMILIES = ["x-forwarded-", "x-envoy-", "x-tg-"];
const PROXY_FIELDS = ["forwarded", "x-real-ip", "proxy-authorization"];
const FAMILIES = [...IDENTITY_FAMILIES, ...PROXY_FAMILIES];
/** By which a message ends: in another spelling some programs take them for these, and end it elsewhere. */
const FRAMING_FIELDS = ["content-length", "transfer-encoding"];
/** Which count in a head alone, for programs that put trailers with it (RFC 9110 section 6.5.1 forbids it). */
const HEAD_FIELDS = [
  ...FRAMING_FIELDS,
  ...["host", "connection", "upgrade", "expect", "te", "trailer"],
  ...["keep-alive", "proxy-connection", "proxy-authenticate", "http2-settings"],
];

/**
 * Regular expression (RE2) for the names of fields that no visitor may send: those that `isIdentityField` is true of and those by which
 * proxies talk, in every spelling, but for `kept`, which the gate itself reads, in exactly theirs; and what is nearly a field of framing.
 * Names come in lower case.
 */
export function fieldPattern(kept: readonly string[]): string {
  const families = FAMILIES.map((family) => familyPattern(family, kept));
  const listed = [...IDENTITY_HEADERS, ...PROXY_FIELDS, ...kept].filter((name) => !isOfFamily(name));
  const names = new Set(listed);
  const exact = [...names].map((name) => (kept.includes(name) ? otherSpellings(name) : anySpelling(name)));
  return [...families, ...exact.filter((pattern) => pattern !== ""), ...FRAMING_FIELDS.map(otherSpellings)].join("|");
}

/** The same for trailers of a request: nothing is kept, none of `more` either, and nothing that counts in a head alone. */
export function requestTrailerPattern(more: readonly string[]): string {
  return [fieldPattern([]), ...[...more, ...HEAD_FIELDS].map(anySpelling)].join("|");
}

/** The same for trailers of an answer: `more`, and what counts in a head alone. */
export function answerTrailerPattern(more: readonly string[]): string {
  return [...more, ...HEAD_FIELDS].map(anySpelling).join("|");
}

function isOfFamily(name: string): boolean {
  return FAMILIES.some((family) => name.startsWith(family));
}

function familyPattern(family: string, kept: readonly string[]): string {
  const ends = kept.filter((name) => name.startsWith(family)).map((name) => name.slice(family.length));
  if (ends.length === 0) return `${anySpelling(family)}.*`;
  const others = otherSpellings(family);
  return [...(others === "" ? [] : [`(?:${others}).*`]), `${family}${allBut(ends)}`].join("|");
}

function anySpelling(name: string): string {
  return name.replaceAll("-", SIGN);
}

/** Every spelling but the one with `-` throughout; empty: there is no other. */
function otherSpellings(name: string): string {
  const parts = name.split("-");
  return parts
    .slice(1)
    .map((_, at) => `${parts.slice(0, at + 1).join("-")}[^a-z0-9-]${parts.slice(at + 1).join(SIGN)}`)
    .join("|");
}

/** All texts but these words. */
function allBut(words: readonly string[]): string {
  const firsts = [...new Set(words.map((word) => word.slice(0, 1)))].filter((first) => first !== "");
  const onward = firsts.map((first) => {
    const rest = words.filter((word) => word.startsWith(first)).map((word) => word.slice(1));
    return `${first === "-" ? "-" : first}${allBut(rest)}`;
  });
  const away = firsts.length === 0 ? ".+" : `[^${firsts.join("").replace("-", "\\-")}].*`;
  return `(?:${[away, ...onward].join("|")})${words.includes("") ? "" : "?"}`;
}
