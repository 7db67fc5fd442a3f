import type { MiddlewareHandler } from "hono";
import { GatewayError } from "../model/index.ts";

/** Reads the body, JSON alone and no more than `limit` bytes, before anything looks at it. Throws `too_large` and `bad_request`. */
export function readJsonBody(limit: number): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === "GET" || c.req.method === "DELETE") return next();
    if (Number(c.req.header("content-length") ?? 0) > limit) throw tooLarge(limit);
    const text = await readText(c.req.raw.body, limit);
    const type = c.req.header("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
    if (text !== "" && type !== "application/json") {
      throw new GatewayError("bad_request", "expected content-type: application/json");
    }
    const { method, headers, signal } = c.req.raw;
    c.req.raw = new Request(c.req.url, { method, headers, signal, body: text === "" ? null : text });
    return next();
  };
}

/** The body as text. Throws `too_large`. */
export async function readText(body: ReadableStream<Uint8Array> | null, limit: number): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  const chunks: string[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > limit) throw tooLarge(limit);
    chunks.push(decoder.decode(chunk, { stream: true }));
  }
  chunks.push(decoder.decode());
  return chunks.join("");
}

function tooLarge(limit: number): GatewayError {
  return new GatewayError("too_large", `the body is larger than ${String(limit)} bytes`);
}
