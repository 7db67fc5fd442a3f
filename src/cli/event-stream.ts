import type { Readable } from "node:stream";
import type { LiveEvent } from "../api/wire.ts";

/**
 * Reads server-sent events (HTML living standard, 9.2.6) whose data is a `LiveEvent`. Ends with the stream, and throws what it throws; an
 * event that is cut off is dropped.
 */
export async function* readEvents(stream: Readable): AsyncGenerator<LiveEvent> {
  let rest = "";
  stream.setEncoding("utf8");
  for await (const chunk of stream) {
    const blocks = (rest + String(chunk)).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const data = block
        .split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice("data:".length));
      if (data.length > 0) yield JSON.parse(data.join("\n")) as LiveEvent;
    }
  }
}
