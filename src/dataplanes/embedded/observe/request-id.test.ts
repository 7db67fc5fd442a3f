import { expect, test } from "vitest";
import { createRequestIds, parseRequestId } from "./request-id.ts";

test("keeps ids that every log can hold, and nothing else", () => {
  for (const id of ["a", "7f3c0a7e-4d5e-4b4e-8a35-3b0a4d6f7e11", "build/7:step=2@host", "x".repeat(128)]) {
    expect(parseRequestId(id)).toBe(id);
  }
  for (const id of [undefined, "", "a b", "a, b", '"', "-a", "\u00e4", "x".repeat(129), "a\tb"]) {
    expect(parseRequestId(id)).toBeNull();
  }
});

test("makes ids that it keeps itself, none twice, not even in two processes", () => {
  const [one, other] = [createRequestIds(), createRequestIds()];
  const ids = Array.from({ length: 1000 }, () => [one(), other()]).flat();
  expect(new Set(ids).size).toBe(2000);
  expect(ids.every((id) => parseRequestId(id) === id)).toBe(true);
});
