import { fileURLToPath } from "node:url";
import { freePorts, type Peer, startProxy } from "./peer.ts";

const PROGRAM = fileURLToPath(new URL("node-http2-proxy.ts", import.meta.url));

/** Streams of Node's HTTP/2 server piped into those of its client: what any proxy of HTTP/2 in Node starts from. It looks at nothing. */
export const nodeHttp2: Peer = {
  name: "node-http2",
  kinds: ["grpc"],
  http2: false,
  prepare: () => Promise.resolve(),
  start: async (backends) => {
    const [port = 0] = await freePorts(1);
    const { pid } = await startProxy([process.execPath, PROGRAM, String(port), String(backends.grpc)], [port]);
    return { pid, ports: { http: 0, grpc: port, tcp: 0 }, session: null, authority: () => `bench.localhost:${port}` };
  },
};
