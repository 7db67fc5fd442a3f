import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianProgram } from "../../testbed/debian-program.ts";
import { freePorts, type Peer, startProxy } from "./peer.ts";

let program = "";

/** One thread; no log. */
export const haproxy: Peer = {
  name: "haproxy",
  kinds: ["http", "grpc", "tcp"],
  http2: true,
  prepare: async () => {
    program = debianProgram("haproxy", ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"]);
    return Promise.resolve();
  },
  start: async (backends, folder) => {
    const [http = 0, grpc = 0, tcp = 0] = await freePorts(3);
    const config = join(folder, "haproxy.cfg");
    writeFileSync(
      config,
      `global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 5s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
listen http
  option forwardfor
  bind 127.0.0.1:${http}
  server app 127.0.0.1:${backends.http}
listen grpc
  option forwardfor
  bind 127.0.0.1:${grpc} proto h2
  server app 127.0.0.1:${backends.grpc} proto h2
listen tcp
  mode tcp
  bind 127.0.0.1:${tcp}
  server app 127.0.0.1:${backends.tcp}
`,
    );
    // -db: in the foreground.
    const { pid } = await startProxy([program, "-db", "-f", config], [http, grpc, tcp]);
    const ports = { http, grpc, tcp };
    return { pid, ports, session: null, authority: (kind) => `bench.localhost:${ports[kind]}` };
  },
};
