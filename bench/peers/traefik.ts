import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { traefikProgram } from "../../testbed/traefik.ts";
import { type Backends, freePorts, type Peer, startProxy } from "./peer.ts";

let program = "";
const POLL_MS = 100;
const TURNS = 200;

/** No access log, no dashboard, one file. It has one entry point per kind, each with one router for everything. */
export const traefik: Peer = {
  name: "traefik",
  kinds: ["http", "grpc", "tcp"],
  http2: true,
  prepare: async (build) => {
    program = await traefikProgram(build);
  },
  start: async (backends, folder) => {
    const [http = 0, grpc = 0, tcp = 0] = await freePorts(3);
    const ports = { http, grpc, tcp };
    const [fixed, dynamic] = [join(folder, "traefik.json.yaml"), join(folder, "dynamic.yaml")];
    writeFileSync(dynamic, JSON.stringify(makeRoutes(backends)));
    const entryPoints = Object.fromEntries(
      Object.entries(ports).map(([kind, port]) => [kind, { address: `127.0.0.1:${port}` }]),
    );
    const providers = { file: { filename: dynamic, watch: false } };
    const global = { checkNewVersion: false, sendAnonymousUsage: false };
    writeFileSync(fixed, JSON.stringify({ global, entryPoints, providers, log: { level: "ERROR" } }));
    // Go would have a thread for each processor.
    const command = ["env", "GOMAXPROCS=1", program, `--configFile=${fixed}`];
    const { pid } = await startProxy(command, [http, grpc, tcp]);
    await routed(http);
    return { pid, ports, session: null, authority: (kind) => `bench.localhost:${ports[kind]}` };
  },
};

/** It listens before it has its routes, and until then knows nothing. */
async function routed(port: number): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) {
    const { status } = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(POLL_MS * TURNS) });
    if (status === 200) return;
    await setTimeout(POLL_MS);
  }
  throw new Error("Traefik has no routes");
}

function makeRoutes(backends: Backends): unknown {
  const router = (kind: string) => ({ entryPoints: [kind], rule: "PathPrefix(`/`)", service: kind });
  const service = (url: string) => ({ loadBalancer: { servers: [{ url }] } });
  return {
    http: {
      routers: { http: router("http"), grpc: router("grpc") },
      services: {
        http: service(`http://127.0.0.1:${backends.http}`),
        grpc: service(`h2c://127.0.0.1:${backends.grpc}`),
      },
    },
    tcp: {
      routers: { tcp: { entryPoints: ["tcp"], rule: "HostSNI(`*`)", service: "tcp" } },
      services: { tcp: { loadBalancer: { servers: [{ address: `127.0.0.1:${backends.tcp}` }] } } },
    },
  };
}
