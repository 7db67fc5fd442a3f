import type { Socket } from "node:net";

/**
 * Reads newline JSON from a socket: `read` makes of each line what it says (null, or throwing: it says nothing that is understood), and
 * `take` gets it. A line that is not understood, or that has more than `bound` characters, ends the connection.
 */
export function readJsonLines<T>(
  socket: Socket,
  bound: number,
  deps: { readonly read: (value: unknown) => T | null; readonly take: (value: T) => void },
): void {
  let held = "";
  socket.setEncoding("utf8");
  socket.on("data", (text: string) => {
    const lines = (held + text).split("\n");
    held = lines.pop() ?? "";
    if (held.length > bound) socket.destroy();
    for (const line of lines) {
      const value = understand(line, deps.read);
      if (value === null) socket.destroy();
      else deps.take(value);
    }
  });
}

function understand<T>(line: string, read: (value: unknown) => T | null): T | null {
  try {
    return read(JSON.parse(line));
  } catch {
    return null;
  }
}
