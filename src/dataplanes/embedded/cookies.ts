/** Cookie names that no job may set. */
const OURS = /^(__host-|__secure-)?taskgate/i;

/** What some browser might stop reading at, or leave out, and so read another cookie than is looked at here. */
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;

/**
 * A job's Set-Cookie field as its visitor may get it; null: not at all, because it names a cookie of the gate or is for another domain than
 * the host's own: above it (RFC 6265 §5.3) every other service would get it. `prefix` (path mode) moves Path below it.
 */
export function translateSetCookie(value: string, host: string, prefix: string | null): string | null {
  if (CONTROL.test(value)) return null;
  const parts = value.split(";");
  // A cookie without a name is sent back as its bare value, which can look like a name: `=taskgate=x`.
  if (OURS.test((parts[0] ?? "").replace(/^[\s=]+/, ""))) return null;
  const mapped = parts.map((part, index) => {
    if (index === 0) return part;
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    const text = equals < 0 ? "" : part.slice(equals + 1).trim();
    if (name === "domain") return isElsewhere(text, host) ? null : part;
    if (name === "path" && equals >= 0 && prefix !== null)
      return `${part.slice(0, equals + 1)}${underPrefix(text, prefix)}`;
    return part;
  });
  return mapped.includes(null) ? null : mapped.join(";");
}

/** Without a name it is the host's own. What is not plainly the host's name is another one: escapes, quotes, other alphabets. */
function isElsewhere(domain: string, host: string): boolean {
  const name = domain.toLowerCase().replace(/^\./, "").replace(/\.$/, "");
  return name !== "" && name !== host;
}

/** `/x` → `/prefix/x`; what is there already stays, and so does what is no path. */
export function underPrefix(path: string, prefix: string): string {
  if (!path.startsWith("/") || path.startsWith("//")) return path;
  if (path.startsWith(prefix) || path === prefix.slice(0, -1)) return path;
  return prefix + path.slice(1);
}
