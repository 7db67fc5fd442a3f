import type { RequestHead } from "../../../model/index.ts";
import { eachField, type Fields } from "../exchange.ts";

/** Reads fields as `RequestHead.header` promises: repeated ones are joined, none is dropped. */
export function createHead(base: Omit<RequestHead, "header" | "names">, fields: Fields): RequestHead {
  let joined: Map<string, string> | undefined;
  const byName = () => (joined ??= joinFields(fields));
  return { ...base, header: (name) => byName().get(name), names: () => byName().keys() };
}

function joinFields(fields: Fields): Map<string, string> {
  const byName = new Map<string, string>();
  eachField(fields, (name, value) => {
    const key = name.toLowerCase();
    const before = byName.get(key);
    byName.set(key, before === undefined ? value : `${before}${key === "cookie" ? "; " : ", "}${value}`);
  });
  return byName;
}
