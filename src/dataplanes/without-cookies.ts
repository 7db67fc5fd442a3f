/** A Cookie field without the named cookies, the others to the byte; null: nothing is left. */
export function withoutCookies(value: string, names: readonly string[]): string | null {
  if (names.length === 0) return value;
  const kept = value.split(";").filter((pair) => !names.includes(cookieName(pair)));
  const text = kept.join(";").replace(/^[ \t]+/, "");
  return text === "" ? null : text;
}

function cookieName(pair: string): string {
  const equals = pair.indexOf("=");
  return (equals < 0 ? pair : pair.slice(0, equals)).trim();
}
