import type { MethodDefinition } from "@grpc/grpc-js";
import { decode, encode, type Message } from "./message.ts";

/**
 * A method of a gRPC service, as grpc-js wants it: `service` is the full name, e.g. "envoy.service.auth.v3.Authorization", `name` the
 * method's, e.g. "Check". A request that is cut short is answered by grpc-js with INTERNAL.
 */
export function grpcMethod<Q, A>(
  path: { service: string; name: string },
  types: { request: Message<Q>; response: Message<A> },
  stream: { request?: boolean; response?: boolean } = {},
): MethodDefinition<Q, A> {
  const { request, response } = types;
  return {
    path: `/${path.service}/${path.name}`,
    originalName: path.name,
    requestStream: stream.request ?? false,
    responseStream: stream.response ?? false,
    requestSerialize: (value) => encode(request, value),
    requestDeserialize: (bytes) => decode(request, bytes),
    responseSerialize: (value) => encode(response, value),
    responseDeserialize: (bytes) => decode(response, bytes),
  };
}
