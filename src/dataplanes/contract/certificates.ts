import { once } from "node:events";
import https from "node:https";
import tls from "node:tls";
import { describe, expect } from "vitest";
import type { PlaneSuite } from "./plane-test.ts";
import { startTcpApp } from "../testing/apps.ts";
import { RawClient } from "../testing/clients.ts";
import { startRig, until, type Rig, type StartPlane } from "../testing/rig.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { byHost } from "../testing/table-builder.ts";
import { fingerprint, recordHello, shownTo } from "../testing/tls-apps.ts";
import { writePem } from "../testing/write-pem.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";

/** The gate's own TLS. */
export function describeCertificates({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: certificates`, () => {
    test("shows each visitor the certificate of the name that it asks for, else the first", () =>
      showCertificates(start, "other"));

    test("answers 421 to a request for a host that another certificate is for", async () => {
      const [first, other] = [selfSigned([HOST, "c.localhost"]), selfSigned(["b.localhost"])];
      await using one = await writePem(first);
      await using two = await writePem(other);
      await using app = await startTcpApp((socket) => socket.end("HTTP/1.1 204 No Content\r\n\r\n"));
      await using rig = await startRig(start, { tls: { ...one, certificates: [two] } });
      const matches = [byHost(HOST), byHost("b.localhost"), byHost("c.localhost")];
      rig.table.service({ key: KEY, matches, endpoints: [app.address] });
      await rig.publish();
      for (const [servername, host, status] of [
        [HOST, HOST, 204],
        [HOST, "c.localhost", 204],
        [HOST, "b.localhost", 421],
        ["b.localhost", HOST, 421],
        [undefined, "b.localhost", 204],
      ] as const) {
        expect(await statusOf(rig, servername, host), `${String(servername)} ${host}`).toBe(status);
      }
    });

    test("takes files that change for new visitors, keeps what it has where they do not fit, and says so", async () => {
      const [old, next] = [selfSigned([HOST]), selfSigned([HOST])];
      await using files = await writePem(old);
      await using rig = await startRig(start, { tls: files });
      const stays = tls.connect({ ...to(rig), servername: HOST, ca: old.certificate });
      await once(stays, "secureConnect");
      await files.write({ certificate: next.certificate, key: old.key });
      const problem = () => rig.status().problems.find(({ code }) => code === "certificate_unusable");
      await until(() => problem() !== undefined);
      expect(problem()?.subject).toBe(files.certificate);
      expect(JSON.stringify(rig.status().problems)).not.toContain("PRIVATE");
      expect(await shownTo(rig, HOST)).toBe(fingerprint(old));
      await files.write(next);
      await until(() => problem() === undefined);
      for (const servername of [HOST, undefined]) expect(await shownTo(rig, servername)).toBe(fingerprint(next));
      expect(stays.destroyed).toBe(false);
      stays.destroy();
    });

    test("warns of a certificate that ends soon", async () => {
      await using files = await writePem(selfSigned([HOST]));
      await using rig = await startRig(start, { tls: files });
      await until(() => rig.status().problems.some(({ code }) => code === "certificate_ends"));
    });

    test("goes on with a session of before, and speaks no TLS older than 1.2", async () => {
      const pem = selfSigned([HOST]);
      await using files = await writePem(pem);
      await using rig = await startRig(start, { tls: files });
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const secure = { ...to(rig), servername: HOST, ca: pem.certificate, minVersion: version, maxVersion: version };
        const first = tls.connect(secure);
        first.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`); // some give tickets with the first answer
        const [session] = (await once(first, "session")) as [Buffer];
        first.destroy();
        const second = tls.connect({ ...secure, session });
        await once(second, "secureConnect");
        expect(second.isSessionReused(), version).toBe(true);
        second.destroy();
      }
      const old = tls.connect({ ...to(rig), servername: HOST, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }); // prettier-ignore
      const [error] = (await once(old, "error")) as [NodeJS.ErrnoException];
      expect(error.message).toContain("protocol version");
    });

    test("ends handshakes that take too long, and what begins like TLS and is none", async () => {
      await using files = await writePem(selfSigned([HOST]));
      await using rig = await startRig(start, { tls: files, limits: { headerTime: 100 } });
      const hello = await recordHello(HOST);
      for (const first of [hello.subarray(0, 60), hello, Buffer.from([22, 3, 1, 0, 2, 9, 9])]) {
        using client = await RawClient.connect(rig.port);
        client.socket.write(first);
        await until(() => client.closed || client.ended);
      }
    });
  });
}

const to = ({ port }: { readonly port: number }) => ({ port, host: "127.0.0.1" });

function statusOf(rig: Rig, servername: string | undefined, host: string): Promise<number> {
  const named = { servername: servername ?? "" };
  return new Promise((resolve, reject) => {
    const request = https.get(
      { ...to(rig), ...named, headers: { host }, rejectUnauthorized: false, agent: false },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    );
    request.on("error", reject);
  });
}

/** `inCapitals`: which of the two certificates is shown for the other's name in capitals. */
export async function showCertificates(start: StartPlane, inCapitals: "first" | "other"): Promise<void> {
  const [first, other, wild] = [selfSigned([HOST]), selfSigned(["a.example"]), selfSigned(["*.wild.example"])];
  await using one = await writePem(first);
  await using two = await writePem(other);
  await using three = await writePem(wild);
  await using rig = await startRig(start, { tls: { ...one, certificates: [two, three] } });
  for (const [servername, pem] of [
    [HOST, first],
    ["a.example", other],
    ["A.example", inCapitals === "other" ? other : first],
    ["x.wild.example", wild],
    ["x.y.wild.example", first],
    ["wild.example", first],
    [undefined, first],
  ] as const) {
    expect(await shownTo(rig, servername), servername).toBe(fingerprint(pem));
  }
}
