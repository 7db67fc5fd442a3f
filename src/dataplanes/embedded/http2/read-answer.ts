import type { Fields } from "../exchange.ts";
import type { FieldBlock } from "./hpack/decoder.ts";
import { OF_ONE_CONNECTION } from "./read-request.ts";

/** The head of a job's answer. */
export interface AnswerRead {
  /** 100 to 999, and never 101. */
  readonly status: number;
  /** Without pseudo fields. */
  readonly fields: Fields;
  /** Bytes that its body has to have; null: any. */
  readonly length: number | null;
}

const STATUS = /^[1-9]\d\d$/;
const LENGTH = /^\d{1,15}$/;
/** null: it is malformed (RFC 9113 §8.1.1), or more than there may be. */
export function readAnswer({ fields: all, fault }: FieldBlock): AnswerRead | null {
  const [first, status = ""] = all;
  if (fault !== null || first !== ":status" || !STATUS.test(status) || status === "101") return null;
  const fields = all.slice(2);
  const length = readLength(fields);
  return length === "malformed" ? null : { status: Number(status), fields, length };
}

function readLength(fields: Fields): number | null | "malformed" {
  let length: number | null = null;
  for (const [at, name] of fields.entries()) {
    if (at % 2 === 1) continue;
    if (name.startsWith(":") || OF_ONE_CONNECTION.has(name)) return "malformed";
    if (name !== "content-length") continue;
    const value = fields[at + 1] ?? "";
    if (length !== null || !LENGTH.test(value)) return "malformed";
    length = Number(value);
  }
  return length;
}
