import type { Fields } from "../exchange.ts";
import type { FieldBlock } from "./hpack/decoder.ts";

/** What came behind a body. null: it is malformed, or not the end (RFC 9113 §8.1). */
export function readTrailers({ fields, fault }: FieldBlock, last: boolean): Fields | null {
  const well = last && fault === null && fields.every((text, at) => at % 2 === 1 || !text.startsWith(":"));
  return well ? fields : null;
}
