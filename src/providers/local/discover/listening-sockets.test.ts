import { endianness } from "node:os";
import { describe, expect, test } from "vitest";
import { parseListeningSockets } from "./listening-sockets.ts";

/** As the kernel prints it on a little-endian machine. */
const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const row = (local: string, state: string, inode: string) =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 000000001ece9ead 100 0 0 10 0\n`;

describe.runIf(endianness() === "LE")("parseListeningSockets", () => {
  test("reads IPv4 listeners and no connections", () => {
    const table =
      HEAD + row("0100007F:1F90", "0A", "11") + row("0100007F:1F90", "01", "12") + row("00000000:0016", "0A", "13");
    expect(parseListeningSockets(table, 4)).toEqual([
      { inode: "11", port: 8080, family: 4, ip: "127.0.0.1" },
      { inode: "13", port: 22, family: 4, ip: "0.0.0.0" },
    ]);
  });

  test.each([
    ["00000000000000000000000000000000", 6, "::"],
    ["00000000000000000000000001000000", 6, "::1"],
    ["B80D0120000000000000000005000000", 6, "2001:db8::5"],
    ["B80D0120000000000100000000000000", 6, "2001:db8::1:0:0"],
    ["0000000000000000FFFF00000100007F", 4, "127.0.0.1"],
    ["000080FE00000000FF005450B6ADFBFE", 6, "fe80::5054:ff:fefb:adb6"],
  ])("reads the IPv6 address %s", (hex, family, ip) => {
    const [socket] = parseListeningSockets(HEAD + row(`${hex}:1F90`, "0A", "11"), 6);
    expect(socket).toEqual({ inode: "11", port: 8080, family, ip });
  });

  test("leaves out what it does not understand", () => {
    expect(parseListeningSockets("", 4)).toEqual([]);
    expect(parseListeningSockets("nonsense 0A \n 0A \n", 4)).toEqual([]);
    expect(parseListeningSockets(row("0100007F:1F90", "0A", "0"), 4)).toEqual([]);
  });
});
