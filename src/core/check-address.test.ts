import { expect, test } from "vitest";
import { addressKind } from "./check-address.ts";

const KINDS = {
  other: ["10.0.0.1", "192.168.255.254", "8.8.8.8", "100.64.0.1", "223.255.255.255", "fd00::1", "2001:db8::7"],
  loopback: ["127.0.0.1", "127.255.255.255", "::1", "0:0:0:0:0:0:0:1", "0000::0001"],
  forbidden: [
    ...["0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"],
    ...["100.100.100.200", "168.63.129.16", "fd00:ec2::254", "FD00:0EC2:0::0254"],
    ...["::", "0::0", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "0:0:0:0:0:ffff:7f00:1", "::7f00:1", "::127.0.0.1"],
    ...["fe80::1", "febf::1", "FE80::1", "ff02::1"],
  ],
  malformed: [
    ...["", "localhost", "example.com", "10.0.0", "10.0.0.0.1", "256.0.0.1", "1e1.0.0.1", "10.0.0.01", "0x7f.0.0.1"],
    ...[
      "127.1",
      "2130706433",
      " 10.0.0.1",
      "10.0.0.1 ",
      "10.0.0.1:80",
      "fe80::1%eth0",
      "[::1]",
      ":::",
      "1::2::3",
      "-1.0.0.0",
    ],
    ...["10..0.1", "٣.0.0.1"],
  ],
} as const;

for (const [kind, addresses] of Object.entries(KINDS)) {
  test(`tells addresses that are ${kind}`, () => {
    const others = addresses.filter((ip) => addressKind(ip) !== kind);
    expect(others).toEqual([]);
  });
}

test("an address in 0::/8 is never dialled, however it is written", () => {
  expect(addressKind("::ffff")).toBe("forbidden");
});
