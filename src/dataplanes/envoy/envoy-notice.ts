import { type Form, type Notice, renderNotice } from "../pages.ts";

/** Fields that Envoy writes by itself. */
const FRAMING: ReadonlySet<string> = new Set(["content-length", "grpc-status", "grpc-message"]);

/** A notice as an Envoy is given it to say. Of gRPC's form it makes the rest: status, and the message of the body. */
export interface EnvoyNotice {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

export function envoyNotice(notice: Notice, form: Form): EnvoyNotice {
  const { fields, body } = renderNotice(notice, form);
  const pairs = fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1] ?? ""] as const] : []));
  return {
    fields: pairs.filter(([name]) => !FRAMING.has(name)),
    body: form === "grpc" ? `${notice.title}: ${notice.message}` : body,
  };
}
