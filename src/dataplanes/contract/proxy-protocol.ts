import { once } from "node:events";
import tls from "node:tls";
import { describe, expect } from "vitest";
import type { PlaneSuite } from "./plane-test.ts";
import { echo, freePort, startHttpApp, startTcpApp } from "../testing/apps.ts";
import { ask, RawClient, type Echo } from "../testing/clients.ts";
import { startRig, until } from "../testing/rig.ts";
import { byHost, byPort, byServerName } from "../testing/table-builder.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
const REQUEST = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`;
const V1 = "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n";
const V2 = Buffer.from("0d0a0d0a000d0a515549540a2111000cc0000207c0000201138801bb", "hex").toString("latin1");

/** PROXY headers, both ways: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt */
export function describeProxyProtocol({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: PROXY headers that come`, () => {
    test.each([
      ["version 1", V1, "192.0.2.7"],
      ["version 2", V2, "192.0.2.7"],
      ["one that names nobody", "PROXY UNKNOWN\r\n", "127.0.0.1"],
    ])("count as the visitor's address: %s", async (_what, header, address) => {
      await using app = await startHttpApp(echo);
      await using rig = await startRig(start, { proxyFrom: ["127.0.0.0/8"] });
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      using client = await RawClient.connect(rig.port, header + REQUEST);
      await until(() => client.over);
      const seen = JSON.parse(client.received.slice(client.received.indexOf("{"), client.received.lastIndexOf("}") + 1)) as Echo; // prettier-ignore
      const at = seen.rawHeaders.findIndex((field) => field.toLowerCase() === "x-forwarded-for");
      expect(seen.rawHeaders[at + 1]).toBe(address);
    });

    test("must come from who is named, whole, in time and right", async () => {
      await using rig = await startRig(start, { proxyFrom: ["127.0.0.1"], limits: { headerTime: 150 } });
      for (const first of [REQUEST, V1.slice(0, 20), V1, V1.replace("TCP4", "TCP6") + REQUEST, V2.slice(0, 20)]) {
        using client = await RawClient.connect(rig.port, first);
        await until(() => client.over);
        expect(client.received, JSON.stringify(first)).toBe("");
      }
      expect(rig.gatekeeper.seen).toEqual([]);
    });

    test("are refused from everybody else", async () => {
      await using rig = await startRig(start, { proxyFrom: ["192.0.2.0/24", "2001:db8::/32"] });
      for (const header of [V1, V2]) {
        using client = await RawClient.connect(rig.port, header + REQUEST);
        await until(() => client.over);
        expect(client.received).not.toContain("200 OK");
      }
      expect(rig.gatekeeper.seen).toEqual([]);
    });
  });

  describe(`${name} data plane: PROXY headers that go to tasks`, () => {
    test("name the visitor of each raw connection and of each request, and reuse none for another", async () => {
      await using raw = await startTcpApp((socket) => socket.pipe(socket));
      const heads: string[] = [];
      await using web = await startTcpApp((socket) => {
        socket.once("data", (chunk: Buffer) => {
          heads.push(chunk.toString("latin1").split("\r\n")[0] ?? "");
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        });
      });
      await using rig = await startRig(start);
      const port = await freePort();
      rig.table
        .service({
          key: "local/db/sql",
          protocol: "tcp",
          policy: { proxyProtocol: "v1" },
          matches: [byPort(port)],
          endpoints: [raw.address],
        }) // prettier-ignore
        .service({ key: KEY, policy: { proxyProtocol: "v1" }, matches: [byHost(HOST)], endpoints: [web.address] });
      await rig.publish();
      using client = await RawClient.connect(port, "hello");
      const own = String(client.socket.localPort);
      await until(() => client.received.endsWith("hello"));
      expect(client.received).toBe(`PROXY TCP4 127.0.0.1 127.0.0.1 ${own} ${String(port)}\r\nhello`);
      for (let count = 0; count < 2; count++) expect((await ask(rig.port, HOST)).body).toBe("ok");
      expect(heads.map((head) => head.replace(/ \d+ \d+$/, ""))).toEqual(Array(2).fill("PROXY TCP4 127.0.0.1 127.0.0.1")); // prettier-ignore
      expect(web.connections()).toBe(2);
    });

    test("come before TLS that is passed through, by version 2, with what a proxy before the gate said", async () => {
      const heard: Buffer[] = [];
      await using app = await startTcpApp((socket) => void socket.on("data", (chunk: Buffer) => heard.push(chunk)));
      await using rig = await startRig(start, { proxyFrom: ["127.0.0.1"] });
      const matches = [byServerName("db.tls.localhost")];
      rig.table.service({ key: KEY, protocol: "tls", policy: { proxyProtocol: "v2" }, matches, endpoints: [app.address] }); // prettier-ignore
      await rig.publish();
      using client = await RawClient.connect(rig.port, V1);
      const secure = tls.connect({ socket: client.socket, servername: "db.tls.localhost" });
      secure.on("error", () => undefined);
      await until(() => Buffer.concat(heard).length > 100);
      const bytes = Buffer.concat(heard).toString("latin1");
      expect(bytes.slice(0, V2.length)).toBe(V2);
      expect(bytes.slice(V2.length, V2.length + 2)).toBe("\u0016\u0003");
      secure.destroy();
      await once(client.socket, "close");
    });
  });
}
