import { API_PREFIX, OPERATIONS } from "./wire.ts";

interface Operation {
  readonly name: keyof typeof OPERATIONS;
  readonly method: string;
  readonly path: RegExp;
}

const TABLE: readonly Operation[] = (Object.keys(OPERATIONS) as (keyof typeof OPERATIONS)[]).map((name) => {
  const [method = "", path = ""] = OPERATIONS[name].split(" ");
  return { name, method, path: new RegExp(`^${API_PREFIX}${path.replace(/\{\w+\}/g, "([^/]+)")}$`) };
});

/** The operation that a request asks for, by the wire's own table; `object`: what its first parameter says, as sent. */
export function findOperation(
  method: string,
  path: string,
): { readonly name: Operation["name"]; readonly object: string | undefined } | undefined {
  for (const each of TABLE) {
    const found = each.method === method ? each.path.exec(path) : null;
    if (found !== null) return { name: each.name, object: found[1] };
  }
  return undefined;
}
