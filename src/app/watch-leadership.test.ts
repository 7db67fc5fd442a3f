import { expect, test } from "vitest";
import type { Leadership } from "../store/leadership.ts";
import { watchLeadership } from "./watch-leadership.ts";

test("knows what is led while the work of it runs", async () => {
  let elect: () => Promise<void> = () => Promise.resolve();
  const inner: Leadership = {
    lead(_name, work) {
      elect = () => work(new AbortController().signal, 1);
      return { [Symbol.asyncDispose]: () => Promise.resolve() };
    },
  };
  const watched = watchLeadership(inner);
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const led = watched.lead("cull", () => promise);
  expect([...watched.leading]).toEqual([["cull", false]]);
  const elected = elect();
  expect(watched.leading.get("cull")).toBe(true);
  resolve(undefined);
  await elected;
  expect(watched.leading.get("cull")).toBe(false);
  await led[Symbol.asyncDispose]();
  expect(watched.leading.size).toBe(0);
});
