import { envoy } from "./envoy.ts";
import { haproxy } from "./haproxy.ts";
import { configurableHttpProxy } from "./http-proxy.ts";
import { nodeHttp2 } from "./node-http2.ts";
import { nodeSockets } from "./node-sockets.ts";
import { nodeUndici } from "./node-undici.ts";
import type { Peer } from "./peer.ts";
import { taskgate, taskgateBareLogin, taskgateLogin, taskgateWatched, taskgateWorker } from "./taskgate.ts";
import { traefik } from "./traefik.ts";

/** In the order in which they are measured and printed. */
export const PEERS: readonly Peer[] = [
  taskgate,
  taskgateLogin,
  taskgateBareLogin,
  taskgateWorker,
  taskgateWatched,
  envoy,
  haproxy,
  traefik,
  nodeUndici,
  nodeSockets,
  nodeHttp2,
  configurableHttpProxy,
];
