import { fileURLToPath } from "node:url";
import { grpcInterop } from "../../testbed/go/environment.ts";
import { start } from "../machine.ts";
import { type Backends, freePorts, type Kind, ready } from "../peers/peer.ts";

/**
 * Starts those that are asked for, and the one for HTTP always; the others' ports are free ones, where nobody answers. Throws where one
 * cannot be had.
 */
export async function startBackends(kinds: readonly Kind[]): Promise<Backends> {
  const [http = 0, grpc = 0, tcp = 0] = await freePorts(3);
  const ports = { http, grpc, tcp };
  for (const kind of new Set<Kind>(["http", ...kinds])) {
    const command = await commandOf(kind, ports[kind]);
    await ready(start("load", command), [ports[kind]], `the backend for ${kind}`);
  }
  return ports;
}

async function commandOf(kind: Kind, port: number): Promise<readonly string[]> {
  if (kind === "grpc") return [(await grpcInterop()).server, "-port", String(port)];
  return [process.execPath, fileURLToPath(new URL(`${kind}-backend.ts`, import.meta.url)), String(port)];
}
