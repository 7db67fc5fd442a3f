import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { envoyProgram } from "../../../../testbed/envoy.ts";
import { AccessLogConfig, LimitsConfig, RequestIdConfig, TracingConfig } from "../../../config/schema.ts";
import { startEnvoyCertificates } from "../../../app/envoy-certificates.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { testListen } from "../../embedded/testing/start-plane.ts";
import { freePort } from "../../testing/apps.ts";
import type { StartPlane } from "../../testing/rig.ts";
import { buildBootstrap } from "../bootstrap.ts";
import { askAdmin } from "../local/ask-admin.ts";
import { type EnvoyFiles, envoyFiles, makeEnvoyFolder } from "../local/envoy-files.ts";
import { type EnvoyProgram, findEnvoy } from "../local/find-envoy.ts";
import { LocalEnvoy } from "../local/local-envoy.ts";
import { readRecord } from "../local/record.ts";
import { LOCAL_FLEET } from "../names.ts";
import { type EnvoyPlaneDeps, startEnvoyPlane } from "../plane.ts";

let found: Promise<EnvoyProgram> | null = null;

/** A real Envoy of its own for each plane, at a free port of the loopback: what every suite about this plane attacks. */
export const startTestEnvoy: StartPlane = async (options) => startTestEnvoyAt(await freePort(), options);

/** The same at this port. */
export async function startTestEnvoyAt(
  port: number,
  { gatekeeper, explain, limits, observe, public: seen, ...taken }: Parameters<StartPlane>[0],
): ReturnType<StartPlane> {
  found ??= envoyProgram().then((path) => findEnvoy({ configured: path, environment: {} }));
  const program = await found;
  await using scope = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "taskgate-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const files = envoyFiles(join(folder, "envoy"));
  makeEnvoyFolder(files);
  const address = "127.0.0.1";
  const site = {
    ...{ domain: "localhost", gateHost: "taskgate.localhost", pathHost: "paths.localhost" },
    ...{ secure: taken.tls !== null, port, ...seen, dial: address },
  };
  const allLimits = { ...LimitsConfig.parse({}), ...limits };
  const bootstrap = testBootstrap(files, allLimits.connections);
  const base = { clock: systemClock, logger: silentLogger };
  const listen = testListen(taken);
  const certificates = await startEnvoyCertificates({ tls: listen.tls, authority: null, ...base });
  scope.defer(() => certificates?.[Symbol.dispose]());
  const plane = scope.use(
    await startEnvoyPlane({
      ...{ site, gatekeeper, explain, listener: "main", secret: "secret of a test", limits: allLimits },
      ...{ proxiesFrom: listen.proxyProtocol.from, fronts: listen.forwarded, ...base },
      dialRules: { loopback: ["gate", "local"], sockets: [], ownPorts: new Set([port]) },
      requestId: RequestIdConfig.parse(observe.requestId),
      accessLog: AccessLogConfig.parse(observe.accessLog ?? {}),
      tracing: TracingConfig.parse(observe.tracing ?? {}),
      certificates,
      local: {
        ...{ listen: { ip: address, port }, controlSocket: files.controlSocket, gateSocket: files.gateSocket },
        create: (changed) =>
          new LocalEnvoy({
            ...{ program, files, bootstrap, address, port, threads: 1, graceMs: 1000, logBytes: 1_000_000, changed },
            ...base,
          }),
      },
      ...{ fleets: [], remote: null, apiSocket: join(folder, "api.sock") },
      verification: NOBODY_VERIFIED,
      isAdmin: () => false,
    }),
  );
  endWithThisProcess(readRecord(files.record)?.pid ?? 0);
  plane.settled();
  await plane.ready();
  const running = scope.move();
  return {
    ...{ plane, site, port, address },
    held: () => allocated(files.adminSocket),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function testBootstrap(files: EnvoyFiles, connections: number): object {
  return buildBootstrap({
    fleet: LOCAL_FLEET,
    admin: { unix: files.adminSocket },
    control: [{ unix: files.controlSocket }],
    gate: { unix: files.gateSocket },
    ...{ tls: null, connections },
  });
}

/** Bytes that an Envoy has in use. */
async function allocated(adminSocket: string): Promise<number> {
  const { body } = await askAdmin(adminSocket, "GET", "/memory");
  return Number((JSON.parse(body) as { readonly allocated: string }).allocated);
}

/** An Envoy outlives who started it; what a run of tests that was killed left behind would be there for good. */
function endWithThisProcess(pid: number): void {
  const watch = 'while kill -0 "$0" 2>/dev/null && kill -0 "$1" 2>/dev/null; do sleep 1; done; kill "$1" 2>/dev/null';
  spawn("/bin/sh", ["-c", watch, String(process.pid), String(pid)], { detached: true, stdio: "ignore" }).unref();
}

/** The gate is asked about everybody. */
export const NOBODY_VERIFIED: EnvoyPlaneDeps["verification"] = {
  cookie: "taskgate-session",
  credentialFields: [],
  foreignAuthorization: false,
  revoked: () => ({ ids: [], users: [], before: 0 }),
  observe: () => ({ [Symbol.dispose]: () => undefined }),
  sessionOf: () => null,
  frameOf: () => undefined,
};
