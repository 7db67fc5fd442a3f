import { expect, test } from "vitest";
import { createNetworkCheck } from "./network-check.ts";

test("tells who is in a network, and takes nothing but an address", () => {
  const within = createNetworkCheck(["10.0.0.5", "192.168.0.0/16", "2001:db8::/32", "::1"]);
  for (const ip of ["10.0.0.5", "192.168.3.4", "2001:db8:1::7", "::1", "::ffff:10.0.0.5"])
    expect(within(ip), ip).toBe(true);
  for (const ip of [
    "10.0.0.6",
    "192.169.0.1",
    "2001:db9::1",
    "unknown",
    "",
    "10.0.0.5, 1.2.3.4",
    "10.0.0.5:80",
    "localhost",
  ]) {
    expect(within(ip), ip).toBe(false);
  }
  expect(createNetworkCheck([])("10.0.0.5")).toBe(false);
});
