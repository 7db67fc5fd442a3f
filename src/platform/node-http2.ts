import type * as loaded from "node:http2";

/** Node's `http2`, loaded when the first session is wanted: 5 MiB, which not every process needs. */
export function http2(): typeof loaded {
  return process.getBuiltinModule("node:http2");
}

/** Those of `http2.constants` that are in use, by RFC 9113 §7 and §6. */
export const HTTP2 = Object.freeze({
  NGHTTP2_NO_ERROR: 0x0,
  NGHTTP2_INTERNAL_ERROR: 0x2,
  NGHTTP2_REFUSED_STREAM: 0x7,
  NGHTTP2_CANCEL: 0x8,
  NGHTTP2_CONNECT_ERROR: 0xa,
  NGHTTP2_ENHANCE_YOUR_CALM: 0xb,
  NGHTTP2_FLAG_END_STREAM: 0x1,
});
