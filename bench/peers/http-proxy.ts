import { join } from "node:path";
import { buildOnce } from "../../testbed/build-once.ts";
import { runProgram } from "../../testbed/run-program.ts";
import { freePorts, type Peer, startProxy } from "./peer.ts";

const VERSION = "5.3.0";
let program = "";

/** JupyterHub's, as JupyterHub starts it: its default route leads to the app. */
export const configurableHttpProxy: Peer = {
  name: "configurable-http-proxy",
  kinds: ["http"],
  http2: false,
  prepare: async () => {
    const what = `installing configurable-http-proxy ${VERSION} from npm (once, seconds)`;
    const folder = await buildOnce(`configurable-http-proxy-${VERSION}`, what, async (folder) => {
      const options = ["--prefix", folder, "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"];
      await runProgram("npm", ["install", ...options, `configurable-http-proxy@${VERSION}`]);
    });
    program = join(folder, "node_modules", "configurable-http-proxy", "bin", "configurable-http-proxy");
  },
  start: async (backends) => {
    const [http = 0, api = 0] = await freePorts(2);
    const addresses = ["--ip", "127.0.0.1", "--port", String(http), "--api-ip", "127.0.0.1", "--api-port", String(api)];
    const route = ["--default-target", `http://127.0.0.1:${backends.http}`, "--log-level", "error"];
    const { pid } = await startProxy([process.execPath, program, ...addresses, ...route], [http]);
    const ports = { http, grpc: 0, tcp: 0 };
    return { pid, ports, session: null, authority: () => `bench.localhost:${http}` };
  },
};
