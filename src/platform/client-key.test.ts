import { expect, test } from "vitest";
import { clientKey } from "./client-key.ts";

test("takes a /64 of IPv6 for one client, however it is spelled, and an IPv4 address as it is", () => {
  expect(clientKey("10.1.2.3")).toBe("10.1.2.3");
  expect(clientKey("::ffff:10.1.2.3")).toBe("10.1.2.3");
  expect(clientKey("unknown")).toBe("unknown");
  const one = clientKey("2001:db8:0:7::1");
  expect(one).toBe("2001:db8:0:7::/64");
  for (const same of ["2001:db8:0:7:ffff:ffff:ffff:ffff", "2001:0db8:0000:0007::", "2001:db8:0:7::9.8.7.6"]) {
    expect(clientKey(same), same).toBe(one);
  }
  for (const other of ["2001:db8:0:8::1", "2001:db8::7", "::1", "::"]) expect(clientKey(other), other).not.toBe(one);
  expect(clientKey("::1")).toBe("0:0:0:0::/64");
  expect(clientKey("1:2:3:4:5:6:7::")).toBe("1:2:3:4::/64");
  expect(clientKey("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
});
