import { once } from "node:events";
import { expect, test } from "vitest";
import { until } from "../testing/rig.ts";
import { splice } from "./splice.ts";
import { socketPair } from "./testing/socket-pair.ts";

async function spliced(idleMs = 60_000) {
  const [visitor, near] = await socketPair();
  const [far, job] = await socketPair();
  const counted = { bytesIn: 0, bytesOut: 0, largestIn: 0 };
  const over = splice({ near, far, nearHead: Buffer.from("in "), farHead: Buffer.from("out "), idleMs, counted });
  const seen = { visitor: "", job: "" };
  visitor.on("data", (chunk: Buffer) => (seen.visitor += chunk.toString()));
  job.on("data", (chunk: Buffer) => (seen.job += chunk.toString()));
  return { visitor, job, near, far, over, counted, seen };
}

test("carries heads and bytes both ways, and each end on its own", async () => {
  const { visitor, job, over, counted, seen } = await spliced();
  visitor.end("question");
  await once(job, "end");
  expect(seen.job).toBe("in question");
  job.end("answer");
  await once(visitor, "end");
  expect(seen.visitor).toBe("out answer");
  await over;
  expect(counted).toEqual({ bytesIn: 11, bytesOut: 10, largestIn: 8 });
});

test("passes a break on, whichever side it comes from, also after a half-close", async () => {
  for (const side of ["visitor", "job"] as const) {
    for (const half of [false, true]) {
      const ends = await spliced();
      const other = side === "visitor" ? ends.job : ends.visitor;
      if (half) {
        ends[side].end();
        await once(other, "end");
      }
      ends[side].resetAndDestroy();
      await until(() => {
        // Nobody reads any more from a side that has ended: that it then broke is noticed by who writes to it.
        if (half && other.writable) other.write("x");
        return ends.near.destroyed && ends.far.destroyed;
      });
      await ends.over;
      await until(() => other.destroyed || other.readableEnded);
      other.destroy();
    }
  }
});

test("ends both after too long a silence", async () => {
  const { visitor, job, over, near, far } = await spliced(100);
  await over;
  expect([near.destroyed, far.destroyed]).toEqual([true, true]);
  visitor.destroy();
  job.destroy();
});

test("reads no faster than the slower side writes", async () => {
  const { visitor, job, near, over } = await spliced();
  job.pause();
  job.removeAllListeners("data");
  const chunk = Buffer.alloc(1024 * 1024);
  let sent = 0;
  while (sent < 256 && visitor.write(chunk)) sent += 1;
  const flood = setInterval(() => {
    if (visitor.writableLength < chunk.length && sent < 256) {
      visitor.write(chunk);
      sent += 1;
    }
  }, 1);
  let before = -1;
  await until(() => {
    const stalled = near.bytesRead > 0 && near.bytesRead === before && visitor.writableLength > 0;
    before = near.bytesRead;
    return stalled;
  });
  clearInterval(flood);
  expect(near.bytesRead).toBeLessThan(64 * 1024 * 1024);
  visitor.destroy();
  job.destroy();
  await over;
});
