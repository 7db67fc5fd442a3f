import { fileURLToPath } from "node:url";
import { run } from "../machine.ts";

const PROGRAM = fileURLToPath(new URL("sockets.ts", import.meta.url));

export interface SocketLoad {
  /** WebSocket messages there and back; bytes down; bytes up; connections with one byte there and back. */
  readonly what: "messages" | "download" | "upload" | "connects";
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly authority?: string;
  readonly session?: string | null;
}

/** How much of it got through. Throws if a connection failed. */
export async function runSockets(load: SocketLoad): Promise<{ readonly count: number; readonly seconds: number }> {
  const { what, port, connections, seconds, authority, session } = load;
  const numbers = [port, connections, seconds].map(String);
  const command = [process.execPath, PROGRAM, what, ...numbers, authority ?? "", session ?? ""];
  const output = await run(command, (seconds + 40) * 1000);
  const result = JSON.parse(output) as { readonly count: number; readonly seconds: number; readonly failures: number };
  if (result.failures > 0) throw new Error(`${result.failures} of ${connections} connections failed at port ${port}`);
  return result;
}
