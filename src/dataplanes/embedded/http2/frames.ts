/** Kinds of frames (RFC 9113 §6). */
export const FRAME = Object.freeze({
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
});

export const FLAG = Object.freeze({ endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 });

/** Codes of errors (RFC 9113 §7). */
export const CODE = Object.freeze({
  none: 0x0,
  protocol: 0x1,
  internal: 0x2,
  flowControl: 0x3,
  streamClosed: 0x5,
  frameSize: 0x6,
  refused: 0x7,
  cancel: 0x8,
  compression: 0x9,
  connect: 0xa,
  calm: 0xb,
});

/** Settings (RFC 9113 §6.5.2, RFC 8441 §3). */
export const SETTING = Object.freeze({
  tableBytes: 0x1,
  push: 0x2,
  streams: 0x3,
  window: 0x4,
  frameBytes: 0x5,
  listBytes: 0x6,
  connectProtocol: 0x8,
});

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const FRAME_HEAD_BYTES = 9;
/** Of a payload, where nobody said otherwise; what is sent and taken here. */
export const FRAME_BYTES = 16_384;
export const WINDOW_BYTES = 65_535;
export const WINDOW_MAX = 0x7fff_ffff;

/** What ends a connection (RFC 9113 §5.4.1). */
export class Http2Error extends Error {
  override readonly name = "Http2Error";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
