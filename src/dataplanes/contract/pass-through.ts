import { once } from "node:events";
import tls from "node:tls";
import { describe, expect } from "vitest";
import type { PlaneSuite } from "./plane-test.ts";
import { freePort, startTcpApp } from "../testing/apps.ts";
import { RawClient } from "../testing/clients.ts";
import { startRig, until, type Rig } from "../testing/rig.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { byServerName } from "../testing/table-builder.ts";
import { recordHello, startTlsApp } from "../testing/tls-apps.ts";
import { type Pem, writePem } from "../testing/write-pem.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
const DB = "db.tls.localhost";

/** TLS that the gate carries without looking into it. */
export function describePassThrough({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: TLS passed through`, () => {
    const passing = async (address: { ip: string; port: number }, gate: Pem | null = null): Promise<Rig> => {
      await using files = gate === null ? null : await writePem(gate);
      const rig = await startRig(start, { tls: files });
      rig.table.service({ key: KEY, protocol: "tls", matches: [byServerName(DB)], endpoints: [address] });
      await rig.publish();
      return rig;
    };

    test.each(["plain", "TLS"] as const)("leads by server name to the task's own TLS, at a %s gate", async (kind) => {
      const pem = selfSigned([DB]);
      await using app = await startTlsApp(pem, (socket) => socket.pipe(socket), { ALPNProtocols: ["odd/1"] });
      await using rig = await passing(app.address, kind === "TLS" ? selfSigned([HOST]) : null);
      const client = tls.connect({ ...to(rig), servername: DB, ca: pem.certificate, ALPNProtocols: ["odd/1"] });
      await once(client, "secureConnect");
      expect(client.alpnProtocol).toBe("odd/1");
      const sent = Buffer.alloc(3_000_000, "0123456789abcdef");
      const received: Buffer[] = [];
      client.on("data", (chunk: Buffer) => received.push(chunk));
      client.end(sent);
      await once(client, "close");
      expect(Buffer.concat(received).equals(sent)).toBe(true);
      await until(() => rig.gatekeeper.open.length === 0);
    });

    test("brings every byte as it came, however the hello is cut, and ends each way by itself", async () => {
      const hello = await recordHello(DB);
      const heard: Buffer[] = [];
      await using app = await startTcpApp((socket) => {
        socket.on("data", (chunk: Buffer) => heard.push(chunk));
        socket.on("end", () => setTimeout(() => socket.end("bye"), 20));
      });
      await using rig = await passing(app.address);
      using client = await RawClient.connect(rig.port);
      client.socket.setNoDelay(true);
      for (let at = 0; at < hello.length; at += 40) {
        client.socket.write(hello.subarray(at, at + 40));
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      // As TLS has it: who asks waits for an answer. Envoy drops a connection that ends before it has read the hello.
      await until(() => Buffer.concat(heard).length === hello.length);
      client.socket.end("late");
      await until(() => client.over);
      expect(client.received).toBe("bye");
      expect(Buffer.concat(heard).equals(Buffer.concat([hello, Buffer.from("late")]))).toBe(true);
    });

    test("is counted, and cut with its route; nobody else gets through", async () => {
      const pem = selfSigned([DB]);
      await using app = await startTlsApp(pem, (socket) => void socket.write("hi"));
      await using rig = await passing(app.address);
      const client = tls.connect({ ...to(rig), servername: DB, ca: pem.certificate });
      client.on("error", () => undefined);
      await once(client, "data");
      await expect.poll(() => rig.open("tls")).toBe(1);
      const closed = new Promise((resolve) => client.once("close", resolve));
      rig.table.remove(KEY);
      await rig.publish();
      await closed;
      await expect.poll(() => rig.open("tls")).toBe(0);
      for (const servername of [DB, "other.tls.localhost", undefined]) {
        const other = tls.connect({ ...to(rig), ...(servername === undefined ? {} : { servername }) });
        const [error] = (await once(other, "error")) as [NodeJS.ErrnoException];
        expect(error.message).toContain("unrecognized name");
      }
      expect(app.secured()).toBe(1);
    });

    test("says that the task is away by ending the connection", async () => {
      await using rig = await passing({ ip: "127.0.0.1", port: await freePort() });
      const client = tls.connect({ ...to(rig), servername: DB });
      const [error] = (await once(client, "error")) as [NodeJS.ErrnoException];
      expect(error.code).toBe("ECONNRESET");
    });
  });
}

const to = ({ port }: { readonly port: number }) => ({ port, host: "127.0.0.1" });
