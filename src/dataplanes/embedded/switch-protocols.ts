import { validateHeaderName, validateHeaderValue, type IncomingMessage } from "node:http";
import type { Call } from "./forward.ts";
import { eachField } from "./exchange.ts";
import { responseFields } from "./response-fields.ts";
import type { Target } from "./target.ts";

/** Tells the visitor that its connection now speaks what it asked for (101); false: the job's answer cannot be passed on, nothing was sent. */
export function sendSwitch(call: Call, target: Target, response: IncomingMessage): boolean {
  const { exchange, route, allowed, prefix } = call;
  const upgrade = exchange.upgrade;
  if (upgrade === null) return false;
  const kept = responseFields(response.rawHeaders, {
    exchange,
    route,
    allowed,
    prefix,
    address: target.address,
    status: 101,
    trailers: false,
  });
  const fields = ["Connection", "Upgrade", "Upgrade", response.headers.upgrade ?? upgrade.protocol, ...kept];
  let head = "HTTP/1.1 101 Switching Protocols\r\n";
  try {
    eachField(fields, (name, value) => {
      validateHeaderName(name);
      validateHeaderValue(name, value);
      head += `${name}: ${value}\r\n`;
    });
  } catch {
    return false;
  }
  upgrade.socket.write(`${head}\r\n`, "latin1");
  call.flow.answered(101);
  return true;
}
