import type { RequestHead } from "./gatekeeper.ts";

/** A request's head as plain data, for another process. */
export interface PlainHead extends Pick<RequestHead, "method" | "host" | "path" | "peer" | "front" | "secure"> {
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** With every field that the plane can name, names in lower case. */
export function plainHead(head: RequestHead): PlainHead {
  const { method, host, path, peer, front, secure } = head;
  const fields = [...(head.names?.() ?? [])].map((name) => [name, head.header(name) ?? ""] as const);
  return { method, host, path, peer, front, secure, fields };
}

/** The head again. */
export function readHead({ fields, ...base }: PlainHead): RequestHead {
  const byName = new Map(fields);
  return { ...base, header: (name) => byName.get(name), names: () => byName.keys() };
}
