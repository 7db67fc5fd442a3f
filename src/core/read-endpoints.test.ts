import { describe, expect, test } from "vitest";
import { readEndpoints } from "./read-endpoints.ts";

const readSocket = (unix: unknown): ReturnType<typeof readEndpoints> =>
  readEndpoints([{ address: { unix }, replica: "0", weight: 1, health: "healthy" }], true);

describe("a unix socket as an endpoint", () => {
  test.each(["/run/x.sock", "/home/ann lee/state folder/api.sock", "/home/josé/状態/api.sock", `/${"x".repeat(106)}`])(
    "may be at %s",
    (unix) => {
      expect(readSocket(unix)).toEqual({ list: [expect.objectContaining({ address: { unix } })], refused: [] });
    },
  );

  test.each([
    ["a relative path", "run/x.sock"],
    ["nothing", ""],
    ["the root", "/"],
    ["a control character", "/run/x\u0000.sock"],
    ["half a character", "/run/\ud800"],
    ["a path of 108 bytes", `/${"x".repeat(107)}`],
    ["a path of 107 characters and more bytes", `/${"é".repeat(106)}`],
  ])("may not be at %s", (_, unix) => {
    expect(readSocket(unix)).toEqual({ list: [], refused: [expect.stringContaining("107 bytes at most")] });
  });
});
