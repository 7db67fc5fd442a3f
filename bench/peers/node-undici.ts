import { fileURLToPath } from "node:url";
import { freePorts, type Peer, startProxy } from "./peer.ts";

const PROGRAM = fileURLToPath(new URL("node-undici-proxy.ts", import.meta.url));

/** What anybody writes first: node:http before undici's pool. */
export const nodeUndici: Peer = {
  name: "node-undici",
  kinds: ["http"],
  http2: false,
  prepare: () => Promise.resolve(),
  start: async (backends) => {
    const [http = 0] = await freePorts(1);
    const command = [process.execPath, PROGRAM, String(http), String(backends.http)];
    const { pid } = await startProxy(command, [http]);
    const ports = { http, grpc: 0, tcp: 0 };
    return { pid, ports, session: null, authority: () => `bench.localhost:${http}` };
  },
};
