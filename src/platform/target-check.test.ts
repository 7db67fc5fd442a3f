import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalIp, isLoopback, refuseTarget, type TargetRules } from "./target-check.ts";

const remote: TargetRules = {
  allowLoopback: false,
  ownPorts: new Set([7080]),
  ownAddresses: new Set(["192.168.1.5", "2001:db8::5"]),
};
const local: TargetRules = { ...remote, allowLoopback: true };

describe("refuseTarget", () => {
  test.each(["10.0.0.5", "192.168.1.6", "100.64.0.1", "8.8.8.8", "2001:db8::1", "fd12:3456::1"])(
    "lets %s pass",
    (ip) => {
      expect(refuseTarget(ip, 8888, remote)).toBeNull();
    },
  );

  test.each([
    ["127.0.0.1", "loopback"],
    ["127.255.3.4", "loopback"],
    ["::1", "loopback"],
    ["0:0:0:0:0:0:0:1", "loopback"],
    ["169.254.169.254", "credentials"],
    ["fd00:ec2::254", "credentials"],
    ["FD00:0EC2:0:0:0:0:0:0254", "credentials"],
    ["169.254.7.7", "link-local"],
    ["fe80::1", "link-local"],
    ["febf:ffff::1", "link-local"],
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "unspecified"],
    ["::", "unspecified"],
    ["224.0.0.251", "unspecified"],
    ["255.255.255.255", "unspecified"],
    ["ff02::1", "unspecified"],
    ["::ffff:127.0.0.1", "IPv4 address in IPv6"],
    ["::ffff:7f00:1", "IPv4 address in IPv6"],
    ["0:0:0:0:0:FFFF:a9fe:a9fe", "IPv4 address in IPv6"],
    ["::ffff:10.0.0.5", "IPv4 address in IPv6"],
    ["::127.0.0.1", "IPv4 address in IPv6"],
    ["64:ff9b::7f00:1", "IPv4 address in IPv6"],
    ["64:ff9b:1::7f00:1", "IPv4 address in IPv6"],
    ["2002:7f00:1::", "IPv4 address in IPv6"],
    ["2001:0:1::1", "IPv4 address in IPv6"],
    ["127.1", "no IP address"],
    ["0x7f.0.0.1", "no IP address"],
    ["0177.0.0.1", "no IP address"],
    ["127.0.0.01", "no IP address"],
    ["2130706433", "no IP address"],
    ["fe80::1%eth0", "no IP address"],
    ["2001:db8::1%lo", "no IP address"],
    ["localhost", "no IP address"],
    ["", "no IP address"],
  ])("refuses %s: it is %s", (ip, reason) => {
    expect(refuseTarget(ip, 8888, remote)).toContain(reason);
  });

  test("lets loopback pass where a source may name it, the gate's own ports excepted", () => {
    expect(refuseTarget("127.0.0.1", 8888, local)).toBeNull();
    expect(refuseTarget("::1", 8888, local)).toBeNull();
    expect(refuseTarget("127.0.0.9", 7080, local)).toContain("own");
    expect(refuseTarget("::ffff:127.0.0.1", 8888, local)).toContain("IPv4");
  });

  test("refuses the gate's own ports at every address of this machine, in every spelling", () => {
    expect(refuseTarget("192.168.1.5", 7080, remote)).toContain("own");
    expect(refuseTarget("2001:DB8:0:0::5", 7080, remote)).toContain("own");
    expect(refuseTarget("192.168.1.5", 7081, remote)).toBeNull();
    expect(refuseTarget("192.168.1.6", 7080, remote)).toBeNull();
  });

  test.each([0, -1, 65_536, 1.5, Number.NaN])("refuses port %s", (port) => {
    expect(refuseTarget("10.0.0.5", port, remote)).toContain("port");
  });

  test("refuses or accepts an address alike however it is spelt, and never throws", () => {
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        expect(refuseTarget(ip, 8888, remote)).toBe(refuseTarget(canonicalIp(ip), 8888, remote));
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => refuseTarget(text, 80, remote)).not.toThrow();
      }),
    );
  });

  test("never lets an IPv4 address that is refused pass inside an IPv6 one", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.constantFrom("::ffff:", "::", "64:ff9b::"), (ip, prefix) => {
        expect(refuseTarget(`${prefix}${ip}`, 80, local)).toSatisfy(
          (reason) => reason !== null || prefix + ip === "::0.0.0.1",
        );
      }),
    );
  });
});

test("knows loopback addresses", () => {
  expect(["127.0.0.1", "127.8.9.1", "::1", "localhost", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"].every(isLoopback)).toBe(
    true,
  );
  expect(["0.0.0.0", "::", "10.0.0.1", "1.127.0.0", "128.0.0.1", "localhost.example.com", ""].some(isLoopback)).toBe(
    false,
  );
});
