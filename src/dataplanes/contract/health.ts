import { describe, expect } from "vitest";
import type { Match, Policy, Protocol } from "../../model/index.ts";
import { endpointKey } from "../dataplane.ts";
import type { PlaneSuite } from "./plane-test.ts";
import { freePort, startHttpApp, startTcpApp, type App } from "../testing/apps.ts";
import { ask, RawClient } from "../testing/clients.ts";
import { startGrpcApp } from "../testing/grpc-app.ts";
import { startRig, until, type StartPlane } from "../testing/rig.ts";
import { selfSigned } from "../testing/self-signed.ts";
import { byHost, type ServiceInput } from "../testing/table-builder.ts";
import { startHttpsApp } from "../testing/tls-apps.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
const TASK = "task.internal";

interface SecureApp extends Pick<App, "address">, AsyncDisposable {
  serving: boolean;
}

/** What is found out about endpoints, by asking them and by what becomes of requests, and what follows from it. */
export function describeHealth({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: health`, () => {
    test.each<[what: string, protocol: Protocol, startApp: () => Promise<SecureApp>]>([
      ["HTTP", "http", startSecureHttp],
      ["gRPC", "grpc", () => startGrpcApp(selfSigned([TASK]))],
    ])("asks over TLS where the service speaks it: %s", async (_what, protocol, startApp) => {
      await using app = await startApp();
      await using rig = await startRig(start);
      const activeHealth = { everyMs: 100, ...(protocol === "http" ? { path: "/health" } : {}) };
      const add = (key: string, verify: "none" | "full") => {
        const policy: Policy = { activeHealth, upstreamTls: { verify } };
        const host = `${key.split("/")[1] ?? ""}.localhost`;
        rig.table.service({ key, protocol, policy, matches: [byHost(host)], endpoints: [app.address] });
        return () => rig.status().endpoints.get(endpointKey(key, `127.0.0.1:${String(app.address.port)}`));
      };
      const [trusting, strict] = [add("local/a/x", "none"), add("local/b/x", "full")];
      await rig.publish();
      await until(() => trusting() === "healthy" && strict() === "unhealthy");
      app.serving = false;
      await until(() => trusting() === "unhealthy");
      app.serving = true;
      await until(() => trusting() === "healthy");
    });

    test("passes over an endpoint that breaks off, never the last one, and takes it back when it is well", async () => {
      let broken = true;
      let asked = 0;
      await using bad = await startHttpApp((req, res) => {
        asked += 1;
        if (broken) req.socket.destroy();
        else res.end("mended");
      });
      await using good = await startHttpApp((_req, res) => res.end("good"));
      await using rig = await startRig(start, { limits: { ejectFirst: 1500 } });
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [bad.address, good.address] });
      await rig.publish();
      const replies = async (count: number) => {
        const bodies: string[] = [];
        for (let one = 0; one < count; one += 1) bodies.push((await ask(rig.port, HOST)).body);
        return bodies;
      };
      const key = endpointKey(KEY, `127.0.0.1:${String(bad.address.port)}`);
      while (rig.status().endpoints.get(key) !== "unhealthy") await replies(1);
      const before = asked;
      expect(await replies(10)).toEqual(Array<string>(10).fill("good"));
      expect(asked).toBe(before);
      broken = false;
      let seen: string[] = [];
      while (!seen.includes("mended")) seen = await replies(5);
      await until(() => rig.status().endpoints.get(key) === "healthy");
      rig.table.endpoints(KEY, [bad.address]);
      await rig.publish();
      broken = true;
      const alone = asked;
      for (let count = 0; count < 6; count += 1) expect((await ask(rig.port, HOST)).status).toBe(502);
      expect(asked - alone).toBeGreaterThanOrEqual(6);
    });

    test("tries no more endpoints for one request than it may", async () => {
      const dead = await Promise.all([1, 2, 3, 4, 5].map(() => freePort()));
      await using rig = await startRig(start, { limits: { tries: 2 } });
      rig.table.service({
        ...{ key: KEY, matches: [byHost(HOST)] },
        endpoints: dead.map((port) => ({ ip: "127.0.0.1", port })),
      });
      await rig.publish();
      expect((await ask(rig.port, HOST)).status).toBe(502);
      using tunnel = await RawClient.connect(rig.port, `CONNECT ${HOST}:1 HTTP/1.1\r\nHost: ${HOST}:1\r\n\r\n`);
      await until(() => tunnel.over);
      expect(tunnel.received).toMatch(/^HTTP\/1\.1 502 /);
      expect(rig.explained).toEqual(["connect_failed", "connect_failed"]);
    });
  });
}

/** Shows that the plane finds out what becomes of endpoints. `ofTcp`: where the service of that protocol is. */
export async function watchHealth(start: StartPlane, ofTcp: Match): Promise<void> {
  let well = true;
  await using web = await startHttpApp((req, res) => {
    res.writeHead(req.url === "/health" && well ? 204 : 500).end();
  });
  await using raw = await startTcpApp((socket) => socket.end());
  await using rpc = await startGrpcApp();
  await using rig = await startRig(start);
  const activeHealth = { everyMs: 50 };
  const add = (service: Omit<ServiceInput, "endpoints">, { address }: Pick<App, "address">) => {
    rig.table.service({ policy: { activeHealth }, ...service, endpoints: [address] });
    return endpointKey(service.key, `127.0.0.1:${String(address.port)}`);
  };
  const overHttp = { activeHealth: { ...activeHealth, path: "/health" } };
  const keys = [
    add({ key: "local/h/web", policy: overHttp, matches: [byHost("http.localhost")] }, web),
    add({ key: "local/t/raw", protocol: "tcp", matches: [ofTcp] }, raw),
    add({ key: "local/g/rpc", protocol: "grpc", matches: [byHost("grpc.localhost")] }, rpc),
  ];
  await rig.publish();
  const all = (verdict: string) => keys.every((key) => rig.status().endpoints.get(key) === verdict);
  await until(() => all("healthy"));
  well = false;
  rpc.serving = false;
  await raw[Symbol.asyncDispose]();
  await until(() => all("unhealthy"));
  well = true;
  rpc.serving = true;
  await until(() => keys.filter((key) => rig.status().endpoints.get(key) === "healthy").length === 2);
}

async function startSecureHttp(): Promise<SecureApp> {
  const app = { serving: true };
  const server = await startHttpsApp(selfSigned([TASK]), (req, res) => {
    res.writeHead(req.url === "/health" && app.serving ? 200 : 503).end();
  });
  return Object.assign(app, server);
}
