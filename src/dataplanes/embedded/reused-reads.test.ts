import { once } from "node:events";
import { Socket } from "node:net";
import { expect, test } from "vitest";
import { until } from "../testing/rig.ts";
import { reuseReads } from "./reused-reads.ts";
import { socketPair } from "./testing/socket-pair.ts";

/** Fails on a node that keeps what `onread` says elsewhere: the gate carries bytes by streams then, at half the speed. */
test("takes over a connection that streams read until now, on either side of it", async () => {
  for (const accepted of [false, true]) {
    const ends = await socketPair();
    const [reader, writer] = accepted ? [ends[1], ends[0]] : ends;
    let [text, streamed, stops] = ["", "", 0];
    reader.on("data", (chunk: Buffer) => (streamed += chunk.toString()));
    writer.write("by streams");
    await until(() => streamed === "by streams");
    const buffer = Buffer.alloc(4);
    const taken = reuseReads(reader, {
      next: () => buffer,
      read: (length) => {
        text += buffer.toString("latin1", 0, length);
        stops += 1;
        return stops % 3 !== 0;
      },
    });
    expect(taken).toBe(true);
    writer.end("four by four by four");
    await until(() => text === "four by four");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(text).toBe("four by four"); // it stands still
    const ended = once(reader, "end");
    reader.resume();
    await until(() => stops === 5);
    await ended;
    expect([text, streamed]).toEqual(["four by four by four", "by streams"]);
    for (const socket of ends) socket.destroy();
  }
});

test("leaves sockets alone that are not connected", () => {
  const socket = new Socket();
  expect(reuseReads(socket, { next: () => Buffer.alloc(1), read: () => true })).toBe(false);
});
