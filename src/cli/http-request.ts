import type { ClientRequest, RequestOptions } from "node:http";
import type { RequestOptions as SecureOptions } from "node:https";

/**
 * Starts a request, by TLS where told so. Node's modules are taken as they are: an `import` of node:http reads all that it exports, which
 * loads its WebSocket client, and takes longer than all else of a call.
 */
export function startRequest(options: RequestOptions & SecureOptions, secure: boolean): ClientRequest {
  return secure
    ? process.getBuiltinModule("node:https").request(options)
    : process.getBuiltinModule("node:http").request(options);
}
