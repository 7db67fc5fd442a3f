import tls from "node:tls";
import { expect } from "vitest";
import { showCertificates } from "../../../contract/certificates.ts";
import type { Differences } from "../../../contract/plane-test.ts";
import { echo, startHttpApp } from "../../../testing/apps.ts";
import { RawClient } from "../../../testing/clients.ts";
import { startRig, until, type Rig } from "../../../testing/rig.ts";
import { selfSigned } from "../../../testing/self-signed.ts";
import { byHost, byServerName } from "../../../testing/table-builder.ts";
import { startTlsApp } from "../../../testing/tls-apps.ts";
import { writePem } from "../../../testing/write-pem.ts";
import { HOST, KEY, serving } from "./serving.ts";

const DB = "db.tls.localhost";

/** What is known of a connection before anything is asked on it. */
export const CONNECTION_DIFFERENCES: Differences = {
  "count as the visitor's address: one that names nobody": {
    why: "knows no address of who comes by a PROXY header that names none",
    async instead(start) {
      await using app = await startHttpApp(echo);
      await using rig = await serving(start, app, { proxyFrom: ["127.0.0.0/8"] });
      using client = await RawClient.connect(rig.port, `PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => client.received.includes('"url":"/"'));
      expect(client.received).not.toContain("127.0.0.1");
    },
  },

  "is counted, and cut with its route; nobody else gets through": {
    why: "lets TLS that is passed through go on when its route goes, and closes what comes for nobody's name without an alert",
    async instead(start) {
      const pem = selfSigned([DB]);
      await using app = await startTlsApp(pem, (socket) => {
        socket.on("data", (chunk: Buffer) => socket.write(chunk));
        socket.on("end", () => socket.end());
        socket.write("hi");
      });
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, protocol: "tls", matches: [byServerName(DB)], endpoints: [app.address] });
      await rig.publish();
      const client = shake(rig, DB);
      let received = "";
      client.on("data", (chunk: Buffer) => (received += chunk.toString()));
      await until(() => received === "hi");
      await expect.poll(() => rig.open("tls")).toBe(1);
      rig.table.remove(KEY);
      await rig.publish();
      client.write("still?");
      await until(() => received === "histill?");
      client.end();
      await expect.poll(() => rig.open("tls")).toBe(0);
      for (const servername of [DB, "other.tls.localhost", ""]) {
        const other = shake(rig, servername);
        let isSecure = false;
        other.once("secureConnect", () => (isSecure = true));
        await new Promise((resolve) => other.once("close", resolve));
        expect(isSecure).toBe(false);
      }
      expect(app.secured()).toBe(1);
    },
  },

  "shows each visitor the certificate of the name that it asks for, else the first": {
    why: "compares server names to the letter, as clients send them in lower case",
    instead: (start) => showCertificates(start, "first"),
  },

  "answers 421 to a request for a host that another certificate is for": {
    why: "answers requests for every host on every connection, whichever certificate it showed",
    async instead(start) {
      await using one = await writePem(selfSigned([HOST]));
      await using two = await writePem(selfSigned(["b.localhost"]));
      await using app = await startHttpApp((_req, res) => res.end("app"));
      await using other = await startHttpApp((_req, res) => res.end("other"));
      await using rig = await serving(start, app, { tls: { ...one, certificates: [two] } });
      const matches = [byHost("b.localhost")];
      rig.table.service({ key: "local/b/web", matches, endpoints: [other.address] });
      await rig.publish();
      for (const [servername, host, body] of [
        [HOST, HOST, "app"],
        [HOST, "b.localhost", "other"],
        ["b.localhost", HOST, "app"],
      ] as const) {
        const client = shake(rig, servername);
        let received = "";
        client.on("data", (chunk: Buffer) => (received += chunk.toString()));
        client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        await until(() => received.endsWith(body));
        client.destroy();
      }
    },
  },
};

function shake({ port }: Rig, servername: string): tls.TLSSocket {
  const socket = tls.connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
  socket.on("error", () => undefined);
  return socket;
}
