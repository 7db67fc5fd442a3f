import { fileURLToPath } from "node:url";
import { start } from "../machine.ts";
import { type Backends, freePorts, type Kind, ready } from "../peers/peer.ts";

const PROGRAMS: Readonly<Record<Kind, string>> = {
  http: "http-backend.ts",
  grpc: "grpc-backend.ts",
  tcp: "tcp-backend.ts",
};

/** Starts those that are asked for; the others' ports are free ones, where nobody answers. */
export async function startBackends(kinds: readonly Kind[]): Promise<Backends> {
  const [http = 0, grpc = 0, tcp = 0] = await freePorts(3);
  const ports = { http, grpc, tcp };
  for (const kind of kinds) {
    const program = fileURLToPath(new URL(PROGRAMS[kind], import.meta.url));
    await ready(start("load", [process.execPath, program, String(ports[kind])]), [ports[kind]], `backend ${kind}`);
  }
  return ports;
}
