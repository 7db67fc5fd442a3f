import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import type { Task } from "../../../model/index.ts";
import { systemClock, type Clock } from "../../../platform/clock.ts";
import { silentLogger as logger } from "../../../platform/logger.ts";
import { startEmbeddedStore } from "../../../store/embedded/embedded-store.ts";
import type { Store } from "../../../store/store.ts";
import { podTask } from "../testing/scripted-provider.ts";
import { openTunnel, withTunnel } from "./tunnel.ts";

const DAY_MS = 86_400_000;

async function startStore(): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "taskgate-tunnel-"));
  const store = await startEmbeddedStore({ file: join(folder, "gate.db"), clock: systemClock, logger });
  onTestFinished(async () => {
    await store[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });
  return store;
}

const later = (days: number): Clock => ({ ...systemClock, now: () => Date.now() + days * DAY_MS });

test("gates of one store believe the same authority, and another's not", async () => {
  const store = await startStore();
  const [one, two] = await Promise.all([openTunnel("far", store, systemClock), openTunnel("far", store, systemClock)]);
  expect(one.upstreamTls).toEqual(two.upstreamTls);
  expect(one.certificate).toBe("taskgate-tunnel-far");
  const { cert } = await one.issue();
  expect(two.isGood(cert)).toBe(true);
  const stranger = await openTunnel("far", await startStore(), systemClock);
  expect(stranger.isGood(cert)).toBe(false);
  expect(one.isGood("none")).toBe(false);
});

test("a certificate is renewed a month before it ends, an authority before its certificates would outlive it", async () => {
  const store = await startStore();
  const tunnel = await openTunnel("far", store, systemClock);
  const { cert } = await tunnel.issue();
  expect((await openTunnel("far", store, later(59))).isGood(cert)).toBe(true);
  expect((await openTunnel("far", store, later(61))).isGood(cert)).toBe(false);
  const old = await openTunnel("far", store, later(3500));
  expect(old.upstreamTls.authority).toBe(tunnel.upstreamTls.authority);
  const next = await openTunnel("far", store, later(3600));
  expect(next.upstreamTls.authority).not.toBe(tunnel.upstreamTls.authority);
  expect(new X509Certificate(next.upstreamTls.authority!).ca).toBe(true);
});

test("what a Gateway shows is verified as the policy of its tasks says", async () => {
  const tunnel = await openTunnel("far", await startStore(), systemClock);
  const server = tls.createServer(await tunnel.issue()).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  server.on("tlsClientError", () => undefined);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { serverName, authority } = tunnel.upstreamTls;
  const visit = async (servername: string): Promise<string> => {
    const socket = tls.connect({ port, host: "127.0.0.1", servername, ca: authority });
    try {
      await once(socket, "secureConnect");
      return "verified";
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? "";
    } finally {
      socket.destroy();
    }
  };
  expect(await visit(serverName!)).toBe("verified");
  expect(await visit("other.taskgate.internal")).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
});

test("only services that would be plain text are dialled by it", async () => {
  const tunnel = await openTunnel("far", await startStore(), systemClock);
  const [shell] = podTask("one", "team", []).services;
  const own = { verify: "none" } as const;
  const services: Task["services"] = [
    { ...shell!, name: "web", protocol: "http", guard: "gate" },
    { ...shell!, name: "ssh" },
    { ...shell!, name: "lab", protocol: "http", policy: { upstreamTls: own, sticky: true } },
  ];
  const task = { ...podTask("one", "team", []), services };
  expect(withTunnel(task, tunnel).services.map(({ policy }) => policy)).toEqual([
    { upstreamTls: tunnel.upstreamTls },
    {},
    { upstreamTls: own, sticky: true },
  ]);
  expect(withTunnel(task, null)).toBe(task);
});
