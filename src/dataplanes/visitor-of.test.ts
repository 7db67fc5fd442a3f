import { expect, test } from "vitest";
import { camePlain, visitorOf } from "./visitor-of.ts";

test.each([
  [undefined, 1, "10.0.0.1"],
  ["", 1, "10.0.0.1"],
  ["192.0.2.7", 1, "192.0.2.7"],
  ["6.6.6.6, 192.0.2.7", 1, "192.0.2.7"],
  ["6.6.6.6, 192.0.2.7,10.0.0.3", 2, "192.0.2.7"],
  ["192.0.2.7", 2, "10.0.0.1"],
  ["192.0.2.7, unknown", 1, "10.0.0.1"],
  ["192.0.2.7,", 1, "10.0.0.1"],
  ["192.0.2.7:4711", 1, "10.0.0.1"],
  ["2001:DB8::7", 1, "2001:db8::7"],
  ["::ffff:192.0.2.7", 1, "192.0.2.7"],
])("a front that says %j, as one of %i, asks for %s", (chain, hops, visitor) => {
  expect(visitorOf("10.0.0.1", chain, hops)).toBe(visitor);
});

test("only a front's word makes a visitor one without TLS, and only where there should be TLS", () => {
  const head = (front: string | undefined) => ({
    ...{ method: "GET", host: "a", path: "/", peer: "192.0.2.7", front, secure: true },
    header: (name: string) => (name === "x-forwarded-proto" ? "https, http " : undefined),
  });
  expect(camePlain(head("10.0.0.1"), { secure: true })).toBe(true);
  expect(camePlain(head("10.0.0.1"), { secure: false })).toBe(false);
  expect(camePlain(head(undefined), { secure: true })).toBe(false);
});
