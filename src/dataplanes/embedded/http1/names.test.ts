import { METHODS as NODE_METHODS, STATUS_CODES } from "node:http";
import { expect, test } from "vitest";
import { METHODS, statusText } from "./names.ts";

test("knows the methods and the reason phrases that node knows", () => {
  expect([...METHODS].sort()).toEqual([...NODE_METHODS].sort());
  for (const [status, text] of Object.entries(STATUS_CODES)) expect(statusText(Number(status))).toBe(text);
  expect(statusText(299)).toBe("");
});
