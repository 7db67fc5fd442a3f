import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { digest } from "../testing/digest.ts";
import { until } from "../testing/rig.ts";
import { bulkBuffers } from "./buffer-pool.ts";
import { carryOneWay } from "./one-way.ts";
import { socketPair } from "./testing/socket-pair.ts";

const MiB = 1024 * 1024;
/** No piece of it is like another one: what is swapped, lost or overwritten shows. */
const CONTENT = randomBytes(8 * MiB);

async function way() {
  const [sender, from] = await socketPair();
  const [to, receiver] = await socketPair();
  let count = 0;
  carryOneWay({ from, to, count: (bytes) => (count += bytes) });
  return {
    sender,
    from,
    to,
    receiver,
    count: () => count,
    end: () => [sender, from, to, receiver].map((each) => each.destroy()),
  };
}

/** In pieces of 1 byte to 300 KiB, some at once and some with a rest between. */
async function send(socket: Socket, content: Buffer, seed: number): Promise<void> {
  let random = seed;
  for (let at = 0; at < content.length;) {
    random = (random * 48_271) % 2_147_483_647;
    const size = 1 + (random % 3 === 0 ? random % 200 : random % (300 * 1024));
    if (!socket.write(content.subarray(at, at + size))) await once(socket, "drain");
    if (random % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    at += size;
  }
  socket.end();
}

const RESTS = { everyBytes: 512 * 1024, ms: 2 };

const expected = createHash("sha256").update(CONTENT).digest("hex");

test("carries every byte in its place on many connections at once, to fast and slow receivers, and has its buffers back", async () => {
  const ways = await Promise.all(Array.from({ length: 12 }, way));
  const digests = ways.map(async ({ sender, receiver }, at) => {
    const [seen] = await Promise.all([digest(receiver, at % 2 === 0 ? RESTS : null), send(sender, CONTENT, at + 1)]);
    return seen;
  });
  expect(new Set(await Promise.all(digests))).toEqual(new Set([expected]));
  expect(ways.map(({ count }) => count())).toEqual(ways.map(() => CONTENT.length));
  for (const each of ways) each.end();
  await until(() => bulkBuffers.lent === 0);
});

test("carries on in order by copies when all buffers are lent", async () => {
  const taken: Buffer[] = [];
  for (let buffer = bulkBuffers.take(); buffer !== null; buffer = bulkBuffers.take()) taken.push(buffer);
  const { sender, receiver, end } = await way();
  const [seen] = await Promise.all([digest(receiver, RESTS), send(sender, CONTENT, 7)]);
  expect(seen).toBe(expected);
  end();
  for (const buffer of taken) bulkBuffers.give(buffer);
  expect(bulkBuffers.lent).toBe(0);
});

test("gives buffers back whichever side breaks while they are full", async () => {
  for (const side of ["sender", "from", "to", "receiver"] as const) {
    const ends = await way();
    ends.receiver.pause();
    void send(ends.sender, CONTENT, 3).catch(() => undefined);
    await until(() => ends.to.writableLength > 0 && bulkBuffers.lent > 0);
    ends[side].resetAndDestroy();
    await once(ends[side], "close");
    ends.end();
    await until(() => bulkBuffers.lent === 0);
  }
});

test("a connection at rest holds no buffer, whatever it carried", async () => {
  const { sender, receiver, count, end } = await way();
  receiver.resume();
  sender.write(CONTENT);
  await until(() => count() === CONTENT.length);
  sender.write("a few");
  await until(() => count() === CONTENT.length + 5);
  expect(bulkBuffers.lent).toBe(0);
  end();
});

test("begins with what was read before, also where it had been ended before", async () => {
  const [sender, from] = await socketPair();
  const [to, receiver] = await socketPair();
  from.once("data", (chunk: Buffer) => {
    from.pause();
    from.unshift(chunk);
  });
  sender.end("early");
  await until(() => from.readableLength === 5);
  let count = 0;
  carryOneWay({ from, to, count: (bytes) => (count += bytes) });
  expect(await digest(receiver, null)).toBe(createHash("sha256").update("early").digest("hex"));
  expect(count).toBe(5);
  const [ended, accepted] = await socketPair();
  ended.end();
  accepted.resume();
  await once(accepted, "end");
  const [next, last] = await socketPair();
  carryOneWay({ from: accepted, to: next, count: () => undefined });
  expect(await digest(last, null)).toBe(createHash("sha256").digest("hex"));
  for (const each of [sender, from, to, receiver, ended, accepted, next, last]) each.destroy();
});

test("carries streams that are no sockets, either way", async () => {
  const [sender, from] = await socketPair();
  const [through, [to, receiver]] = [new PassThrough(), await socketPair()];
  let [first, second] = [0, 0];
  carryOneWay({ from, to: through, count: (bytes) => (first += bytes) });
  carryOneWay({ from: through, to, count: (bytes) => (second += bytes) });
  const [seen] = await Promise.all([digest(receiver, RESTS), send(sender, CONTENT, 11)]);
  expect(seen).toBe(expected);
  expect([first, second]).toEqual([CONTENT.length, CONTENT.length]);
  for (const each of [sender, from, to, receiver]) each.destroy();
  await until(() => bulkBuffers.lent === 0);
});
