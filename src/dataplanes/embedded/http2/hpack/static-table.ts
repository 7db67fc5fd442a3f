/** RFC 7541 Appendix A: a name, and its value behind the first space, where it has one. */
const ENTRIES: readonly string[] = [
  ":authority",
  ":method GET",
  ":method POST",
  ":path /",
  ":path /index.html",
  ":scheme http",
  ":scheme https",
  ":status 200",
  ":status 204",
  ":status 206",
  ":status 304",
  ":status 400",
  ":status 404",
  ":status 500",
  "accept-charset",
  "accept-encoding gzip, deflate",
  "accept-language",
  "accept-ranges",
  "accept",
  "access-control-allow-origin",
  "age",
  "allow",
  "authorization",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "etag",
  "expect",
  "expires",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "link",
  "location",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authorization",
  "range",
  "referer",
  "refresh",
  "retry-after",
  "server",
  "set-cookie",
  "strict-transport-security",
  "transfer-encoding",
  "user-agent",
  "vary",
  "via",
  "www-authenticate",
];

/** Index of the last one; those of the dynamic table follow. */
export const STATIC_ENTRIES = ENTRIES.length;

/** By index; 0 is none. */
export const staticNames: readonly string[] = ["", ...ENTRIES.map((entry) => entry.split(" ", 1)[0] ?? "")];
export const staticValues: readonly string[] = [
  "",
  ...ENTRIES.map((entry) => (entry.includes(" ") ? entry.slice(entry.indexOf(" ") + 1) : "")),
];

/** What there is of one name: the first entry of it, and entries of it by their values. */
export interface StaticName {
  readonly index: number;
  readonly values: ReadonlyMap<string, number>;
}

export const staticByName: ReadonlyMap<string, StaticName> = collect();

function collect(): Map<string, StaticName> {
  const byName = new Map<string, { index: number; values: Map<string, number> }>();
  for (let index = 1; index <= STATIC_ENTRIES; index += 1) {
    const name = staticNames[index] ?? "";
    let found = byName.get(name);
    if (found === undefined) byName.set(name, (found = { index, values: new Map() }));
    const value = staticValues[index] ?? "";
    if (value !== "") found.values.set(value, index);
  }
  return byName;
}
