import { fileURLToPath } from "node:url";
import { freePorts, type Peer, startProxy } from "./peer.ts";

const PROGRAM = fileURLToPath(new URL("node-sockets-proxy.ts", import.meta.url));

/** Two of Node's sockets, each piped into the other: what any proxy in Node starts from. It carries everything, and looks at nothing. */
export const nodeSockets: Peer = {
  name: "node-sockets",
  kinds: ["tcp"],
  http2: false,
  prepare: () => Promise.resolve(),
  start: async (backends) => {
    const [http = 0, tcp = 0] = await freePorts(2);
    const pairs = [`${http}:${backends.http}`, `${tcp}:${backends.tcp}`];
    const { pid } = await startProxy([process.execPath, PROGRAM, ...pairs], [http, tcp]);
    const ports = { http, grpc: 0, tcp };
    return { pid, ports, session: null, authority: (kind) => `bench.localhost:${ports[kind]}` };
  },
};
