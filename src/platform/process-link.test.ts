import { expect, test } from "vitest";
import { GatewayError } from "../model/index.ts";
import { systemClock } from "./clock.ts";
import { type Channel, type Notice, ProcessLink, type Question } from "./process-link.ts";

const DOUBLE: Question<number, number> = { name: "double" };
const SAID: Notice<string> = { name: "said" };

/** Both ends of a channel that carries JSON, as a pipe between processes does. */
function pair(): { readonly here: ProcessLink; readonly there: ProcessLink; readonly batches: number[] } {
  const batches: number[] = [];
  const takers: ((message: unknown, handle: unknown) => void)[] = [];
  const end = (own: number, other: number): Channel => ({
    send(message, handle) {
      batches.push((message as unknown[]).length);
      const text = JSON.stringify(message);
      setImmediate(() => takers[other]?.(JSON.parse(text), handle));
    },
    receive: (take) => void (takers[own] = take),
  });
  return { here: new ProcessLink(end(0, 1), systemClock), there: new ProcessLink(end(1, 0), systemClock), batches };
}

const never = new AbortController().signal;

test("asks and answers both ways, many at once in one message", async () => {
  const { here, there, batches } = pair();
  there.answer(DOUBLE, (asked) => Promise.resolve(asked * 2));
  here.answer(DOUBLE, (asked) => Promise.resolve(asked * 20));
  const asked = [1, 2, 3].map((number) => here.ask(DOUBLE, number, never));
  expect(await Promise.all(asked)).toEqual([2, 4, 6]);
  expect(batches[0]).toBe(3);
  expect(await there.ask(DOUBLE, 4, never)).toBe(80);
});

test("keeps the order of what is told, and gives a handle with its own message", async () => {
  const { here, there } = pair();
  const heard: [string, unknown][] = [];
  there.hear(SAID, (said, handle) => heard.push([said, handle]));
  const handle = {};
  here.tell(SAID, "a");
  here.tell(SAID, "b", handle);
  here.tell(SAID, "c");
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(heard).toEqual([
    ["a", undefined],
    ["b", handle],
    ["c", undefined],
  ]);
});

test("brings failures over as what they are", async () => {
  const { here, there } = pair();
  there.answer(DOUBLE, (asked) => Promise.reject(asked === 1 ? new GatewayError("denied", "no") : new Error("odd")));
  await expect(here.ask(DOUBLE, 1, never)).rejects.toMatchObject({ code: "denied", message: "no" });
  await expect(here.ask(DOUBLE, 2, never)).rejects.not.toBeInstanceOf(GatewayError);
  await expect(there.ask(DOUBLE, 3, never)).rejects.toThrow("nobody answers double");
});

test("tells who answers that nobody waits any more, and fails what waits when the link ends", async () => {
  const { here, there } = pair();
  const aborted = Promise.withResolvers<unknown>();
  there.answer(DOUBLE, (_asked, signal) => {
    signal.addEventListener("abort", () => aborted.resolve(true));
    return new Promise(() => undefined);
  });
  const controller = new AbortController();
  const left = here.ask(DOUBLE, 1, controller.signal);
  setTimeout(() => controller.abort(new Error("left")), 10);
  await expect(left).rejects.toThrow("left");
  expect(await aborted.promise).toBe(true);
  const waiting = here.ask(DOUBLE, 2, never);
  here[Symbol.dispose]();
  await expect(waiting).rejects.toMatchObject({ code: "unavailable" });
  await expect(here.ask(DOUBLE, 3, never)).rejects.toMatchObject({ code: "unavailable" });
});
