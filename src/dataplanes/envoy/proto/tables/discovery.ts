import { any, duration, field, map, message, repeated, string } from "../kit.ts";
import type { Value } from "../kit.ts";
import { Metadata, Node, Status } from "./core.ts";

/** envoy.service.discovery.v3: delta xDS. */

export const DeltaDiscoveryRequest = message("envoy.service.discovery.v3.DeltaDiscoveryRequest", {
  node: field(1, Node),
  typeUrl: string(2),
  resourceNamesSubscribe: repeated(string(3)),
  resourceNamesUnsubscribe: repeated(string(4)),
  initialResourceVersions: map(string(5)),
  responseNonce: string(6),
  errorDetail: field(7, Status),
});
export type DeltaDiscoveryRequest = Value<typeof DeltaDiscoveryRequest>;

export const Resource = message("envoy.service.discovery.v3.Resource", {
  name: string(3),
  aliases: repeated(string(4)),
  version: string(1),
  resource: any(2),
  ttl: duration(6),
  metadata: field(9, Metadata),
});
export type Resource = Value<typeof Resource>;

export const DeltaDiscoveryResponse = message("envoy.service.discovery.v3.DeltaDiscoveryResponse", {
  systemVersionInfo: string(1),
  resources: repeated(field(2, Resource)),
  typeUrl: string(4),
  removedResources: repeated(string(6)),
  nonce: string(5),
});
export type DeltaDiscoveryResponse = Value<typeof DeltaDiscoveryResponse>;
