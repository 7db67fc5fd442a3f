import { expect, test } from "vitest";
import { readDeadline } from "./grpc-deadline.ts";

test.each([
  ["1H", 3_600_000],
  ["2M", 120_000],
  ["3S", 3000],
  ["250m", 250],
  ["1500u", 2],
  ["99999999n", 100],
  ["0S", 0],
  ["99999999H", null],
  ["123456789S", null],
  ["1", null],
  ["-1S", null],
  ["1s", null],
  [undefined, null],
])("reads %s", (value, ms) => {
  expect(readDeadline(value)).toBe(ms);
});
