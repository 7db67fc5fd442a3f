import fc from "fast-check";
import { expect, test } from "vitest";
import { FLAG, FRAME, PREFACE } from "./frames.ts";
import { FrameReader } from "./frame-reader.ts";

const frameOf = fc.record({
  type: fc.constantFrom(0, 0, 0, 1, 2, 3, 4, 6, 7, 8, 9, 77),
  flags: fc.nat(255),
  stream: fc.integer({ min: 1, max: 0x7fff_ffff }),
  payload: fc.uint8Array({ maxLength: 300 }),
  padding: fc.nat(255),
});
type Sent = typeof frameOf extends fc.Arbitrary<infer T> ? T : never;

const SETTINGS = Buffer.from([0, 0, 0, FRAME.settings, 0, 0, 0, 0, 0]);

function bytesOf({ type, flags, stream, payload, padding }: Sent): Buffer {
  const padded = type === FRAME.data && (flags & FLAG.padded) !== 0;
  const body = padded ? Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]) : Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

/** What a frame is to be told as. */
function toldOf({ type, flags, stream, payload, padding }: Sent): string {
  const text = Buffer.from(payload).toString("hex");
  if (type !== FRAME.data) return `${String(type)} ${String(flags)} ${String(stream)} ${text}`;
  const padded = (flags & FLAG.padded) !== 0;
  const length = payload.length + (padded ? padding + 1 : 0);
  return `data ${String(stream)} ${String(length)} ${padded ? String(padding + 1) : "-"} ${text} ${String((flags & FLAG.endStream) !== 0)}`;
}

/** Reads it all in these pieces. */
function read(bytes: Buffer, cuts: readonly number[]): string[] {
  const told: string[] = [];
  let data: { stream: number; length: number; padding: string; text: string; last: boolean } | null = null;
  const settle = () => {
    if (data === null) return;
    const { stream, length, padding, text, last } = data;
    told.push(`data ${String(stream)} ${String(length)} ${padding} ${text} ${String(last)}`);
    data = null;
  };
  const reader = new FrameReader(
    {
      dataBegins: (stream, length) => {
        settle();
        data = { stream, length, padding: "-", text: "", last: false };
      },
      padding: (length) => {
        if (data !== null) data.padding = String(length);
      },
      data: (stream, piece, last) => {
        expect(stream).toBe(data?.stream);
        expect(data?.last).toBe(false);
        if (data === null) return;
        data.text += piece.bytes.toString("hex", piece.at, piece.end);
        data.last = last;
      },
      frame: ({ type, flags, stream }, piece) => {
        settle();
        told.push(
          `${String(type)} ${String(flags)} ${String(stream)} ${piece.bytes.toString("hex", piece.at, piece.end)}`,
        );
      },
    },
    true,
  );
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  for (let index = 0; index + 1 < at.length; index += 1) {
    // In memory that is used again at once, as that of sockets is.
    const piece = Buffer.from(bytes.subarray(at[index], at[index + 1]));
    reader.read(piece, piece.length);
    piece.fill(0xff);
  }
  settle();
  return told;
}

test("reads the same frames however their bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(frameOf, { maxLength: 12 }),
      fc.array(fc.nat(), { maxLength: 40 }),
      fc.boolean(),
      (frames, cuts, single) => {
        const bytes = Buffer.concat([PREFACE, SETTINGS, ...frames.map(bytesOf)]);
        const places = single ? Array.from({ length: bytes.length }, (_, at) => at) : cuts;
        expect(read(bytes, places)).toEqual(["4 0 0 ", ...frames.map(toldOf)]);
      },
    ),
    { numRuns: 2000 },
  );
});
