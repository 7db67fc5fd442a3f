import type { LimitsConfig } from "../../../config/schema.ts";
import type { MessageBounds } from "./upstream-connection.ts";

/** The bounds of HTTP/1.1 messages, either way. */
export function messageBounds({ headerBytes, headerFields, headerLine }: LimitsConfig): MessageBounds {
  return { headBytes: headerBytes, trailerBytes: headerBytes, fields: headerFields, lineBytes: headerLine };
}
