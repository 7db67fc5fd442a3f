import { expect, test } from "vitest";
import { createSealer } from "./sealer.ts";

const KEY = new Uint8Array(32).fill(7);

test("opens what it sealed, for the same thing alone, and never twice the same", () => {
  const sealer = createSealer(KEY);
  const sealed = sealer.seal("a refresh token ✓", "login-1");
  expect(sealer.open(sealed, "login-1")).toBe("a refresh token ✓");
  expect(sealer.open(sealed, "login-2")).toBeNull();
  expect(createSealer(new Uint8Array(32)).open(sealed, "login-1")).toBeNull();
  expect(sealer.seal("a refresh token ✓", "login-1")).not.toBe(sealed);
  expect(Buffer.from(sealed, "base64url").toString("latin1")).not.toContain("refresh");
});

test("opens nothing that was changed, cut or made up", () => {
  const sealer = createSealer(KEY);
  const bytes = Buffer.from(sealer.seal("x", ""), "base64url");
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(sealer.open(changed.toString("base64url"), ""), String(at)).toBeNull();
  }
  for (const text of ["", "AAAA", bytes.subarray(0, -1).toString("base64url")])
    expect(sealer.open(text, "")).toBeNull();
});

test("takes a key of 32 bytes", () => {
  expect(() => createSealer(new Uint8Array(16))).toThrow(RangeError);
});
