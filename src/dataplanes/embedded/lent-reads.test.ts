import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { until } from "../testing/rig.ts";
import { BULK_BYTES, bulkBuffers } from "./buffer-pool.ts";
import { claimLent, keepLent, LentReads } from "./lent-reads.ts";
import { socketPair } from "./testing/socket-pair.ts";

/** Of each of `bulkBuffers`: no copy here is as large. */
const LENT_BYTES = 128 * 1024;
const CONTENT = randomBytes(4 * 1024 * 1024);

/** Takes what comes, for as long as `lends`; the rest goes to the stream. */
class Lending extends LentReads {
  readonly #lends: () => boolean;
  readonly #taken: (chunk: Buffer) => void;

  constructor(socket: Socket, lends: () => boolean, taken: (chunk: Buffer) => void) {
    super(socket);
    this.#lends = lends;
    this.#taken = taken;
    socket.once("close", () => this.returnReads());
    this.lend();
  }

  protected override get takesAll(): boolean {
    return this.#lends();
  }

  protected override get awaited(): number {
    return Infinity;
  }

  protected override glance(): boolean {
    return false;
  }

  protected override take(chunk: Buffer): void {
    this.#taken(chunk);
  }
}

/** A connection of which `take` gets what is much, for as long as `lends`, and `rest` the stream. */
async function lending(take: (chunk: Buffer) => void, lends: () => boolean = () => true) {
  const [sender, reader] = await socketPair();
  const seen = { length: 0, lent: 0, streamed: 0 };
  reader.on("data", (chunk: Buffer) => {
    seen.length += chunk.length;
    seen.streamed += chunk.length;
    expect(claimLent(chunk)).toBeUndefined();
  });
  new Lending(reader, lends, (chunk) => {
    seen.length += chunk.length;
    if (chunk.buffer.byteLength === LENT_BYTES) seen.lent += chunk.length;
    take(chunk);
  });
  return { sender, reader, seen, end: () => [sender, reader].map((each: Socket) => each.destroy()) };
}

test("uses no buffer again that somebody has claimed, until all who did are done with it", async () => {
  const held = new Map<Buffer, (() => void)[]>();
  const { sender, reader, seen, end } = await lending((chunk) => {
    for (const other of held.keys()) expect(other.buffer).not.toBe(chunk.buffer);
    const first = claimLent(chunk);
    if (first === undefined) return; // a copy
    held.set(chunk, [first, claimLent(chunk.subarray(1)) ?? expect.unreachable()]);
    if (held.size < 3) return;
    const [oldest] = held.keys();
    if (oldest === undefined) return;
    for (const release of held.get(oldest) ?? []) release();
    held.delete(oldest);
  });
  sender.write(CONTENT);
  await until(() => seen.length === CONTENT.length);
  expect(seen.lent).toBeGreaterThan(CONTENT.length / 2);
  reader.destroy();
  const unreleased = [...held.values()];
  await until(() => bulkBuffers.lent === unreleased.length);
  for (const [first, second] of unreleased) {
    const before = bulkBuffers.lent;
    first?.();
    expect(bulkBuffers.lent).toBe(before);
    second?.();
    expect(bulkBuffers.lent).toBe(before - 1);
  }
  end();
});

test("never uses a buffer again that nobody claimed: who keeps a chunk without a word keeps what is in it", async () => {
  const kept: Buffer[] = [];
  const { sender, seen, end } = await lending((chunk) => kept.push(chunk));
  sender.write(CONTENT);
  await until(() => seen.length === CONTENT.length);
  const content = Buffer.concat(kept);
  expect(content.equals(CONTENT)).toBe(true);
  end();
  await until(() => bulkBuffers.lent === 0);
});

test("what is kept of a lent chunk stays as it is, and the chunk's memory is used again all the same", async () => {
  const kept: Buffer[] = [];
  const { sender, seen, end } = await lending((chunk) => {
    kept.push(keepLent(chunk.subarray(0, 100)), keepLent(chunk.subarray(100)));
    expect(bulkBuffers.lent).toBeLessThanOrEqual(1);
  });
  sender.write(CONTENT);
  await until(() => seen.length === CONTENT.length);
  expect(seen.lent).toBeGreaterThan(CONTENT.length / 2);
  expect(Buffer.concat(kept).equals(CONTENT)).toBe(true);
  end();
  await until(() => bulkBuffers.lent === 0);
});

test("the stream goes on with copies: of little, of what is not wanted otherwise, and when all buffers are lent", async () => {
  let lends = false;
  const { sender, seen, end } = await lending(
    (chunk) => claimLent(chunk)?.(),
    () => lends,
  );
  sender.write(CONTENT);
  await until(() => seen.length === CONTENT.length);
  expect(seen.lent).toBe(0);
  lends = true;
  sender.write(CONTENT.subarray(0, BULK_BYTES - 1));
  await until(() => seen.length === CONTENT.length + BULK_BYTES - 1);
  expect(seen.lent).toBe(0);
  const taken: Buffer[] = [];
  for (let buffer = bulkBuffers.take(); buffer !== null; buffer = bulkBuffers.take()) taken.push(buffer);
  sender.write(CONTENT);
  await until(() => seen.length === 2 * CONTENT.length + BULK_BYTES - 1);
  expect(seen.lent).toBe(0);
  for (const buffer of taken) bulkBuffers.give(buffer);
  end();
  await until(() => bulkBuffers.lent === 0);
});
