import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";

/** Has connections of its own, from these ports on. Node's would not be in the way: they let others have their ports. */
const HOLD = `
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
held = []
for port in sys.argv[1:]:
    held.append(socket.socket())
    held[-1].bind(("", int(port)))
    held[-1].connect(server.getsockname())
print("held", flush=True)
sys.stdin.read()
`;

/** Where a pod's Envoy runs, connections have these ports from now on, until it is disposed. Needs root. */
export async function holdPorts(pod: string, ports: readonly number[]): Promise<AsyncDisposable> {
  const into = ["-t", String(envoyOf(pod)), "-n"];
  const program = ["python3", "-c", HOLD, ...ports.map(String)];
  const child = spawn("nsenter", [...into, ...program], { stdio: ["pipe", "pipe", "inherit"] });
  const over = once(child, "exit");
  await Promise.race([
    once(child.stdout, "data"),
    over.then(([code]) => Promise.reject(new Error(`ports cannot be held: ${String(code)}`))),
  ]);
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await over;
    },
  };
}

/** Id of the process that says by its arguments that it is that pod's. */
function envoyOf(pod: string): number {
  const found = readdirSync("/proc").find((id) => {
    if (!/^\d+$/.test(id)) return false;
    try {
      // Contour gives option and value as one argument.
      const command = readFileSync(`/proc/${id}/cmdline`, "utf8").replaceAll("\0", " ");
      return command.startsWith("envoy ") && command.includes(` --service-node ${pod} `);
    } catch {
      return false; // it has ended meanwhile
    }
  });
  if (found === undefined) throw new Error(`no Envoy of pod ${pod} runs here`);
  return Number(found);
}
