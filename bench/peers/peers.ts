import { envoy } from "./envoy.ts";
import { haproxy } from "./haproxy.ts";
import { configurableHttpProxy } from "./http-proxy.ts";
import { nodeUndici } from "./node-undici.ts";
import type { Peer } from "./peer.ts";
import { taskgate, taskgateLogin } from "./taskgate.ts";

/** In the order in which they are measured and printed. */
export const PEERS: readonly Peer[] = [taskgate, taskgateLogin, envoy, haproxy, nodeUndici, configurableHttpProxy];
