import type { Duplex } from "node:stream";
import type { Call } from "./forward.ts";
import type { ResponseHeadRead } from "./http1/read-head.ts";
import { responseFields } from "./response-fields.ts";
import type { Target } from "./target.ts";

/** Tells the visitor that it may speak what it asked for (101), and gives the stream; null: the job's answer cannot be passed on, nothing was sent. */
export function sendSwitch(call: Call, target: Target, { fields }: ResponseHeadRead): Duplex | null {
  const { exchange, route, allowed, prefix } = call;
  const { upgrade } = exchange;
  if (upgrade === null) return null;
  const input = { exchange, route, allowed, prefix, address: target.address, status: 101, trailers: false };
  const protocol = fields.joined("upgrade") ?? upgrade.protocol;
  try {
    const near = upgrade.accept(101, ["Upgrade", protocol, ...responseFields(fields.flat, input)]);
    call.flow.answered(101);
    return near;
  } catch {
    return null;
  }
}
