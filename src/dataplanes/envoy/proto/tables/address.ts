import {
  bool,
  boolValue,
  bytes,
  enumeration,
  field,
  int64,
  message,
  repeated,
  string,
  uint32,
  uint32Value,
  uint64Value,
} from "../kit.ts";
import type { Value } from "../kit.ts";
import { TlvEntry, TypedExtensionConfig } from "./core.ts";

/** Addresses and sockets of envoy.config.core.v3. */

/** envoy.config.core.v3.ProxyProtocolConfig.Version. */
export const Version = { V1: 0, V2: 1 } as const;

export const XdsCidrRange = message("xds.core.v3.CidrRange", {
  addressPrefix: string(1),
  prefixLen: uint32Value(2),
});
export type XdsCidrRange = Value<typeof XdsCidrRange>;

export const Pipe = message("envoy.config.core.v3.Pipe", {
  path: string(1),
  mode: uint32(2),
});
export type Pipe = Value<typeof Pipe>;

export const SocketAddress = message("envoy.config.core.v3.SocketAddress", {
  protocol: enumeration(1, { TCP: 0, UDP: 1 }),
  address: string(2),
  portValue: uint32(3),
  namedPort: string(4),
  resolverName: string(5),
  ipv4Compat: bool(6),
  networkNamespaceFilepath: string(7),
});
export type SocketAddress = Value<typeof SocketAddress>;

export const TcpKeepalive = message("envoy.config.core.v3.TcpKeepalive", {
  keepaliveProbes: uint32Value(1),
  keepaliveTime: uint32Value(2),
  keepaliveInterval: uint32Value(3),
});
export type TcpKeepalive = Value<typeof TcpKeepalive>;

export const SocketOption = message("envoy.config.core.v3.SocketOption", {
  description: string(1),
  level: int64(2),
  name: int64(3),
  intValue: int64(4),
  bufValue: bytes(5),
  state: enumeration(6, { STATE_PREBIND: 0, STATE_BOUND: 1, STATE_LISTENING: 2 }),
  ipVersion: enumeration(8, { SOCKET_IP_VERSION_UNSPECIFIED: 0, SOCKET_IP_VERSION_IPV4: 1, SOCKET_IP_VERSION_IPV6: 2 }),
});
export type SocketOption = Value<typeof SocketOption>;

export const BindConfig = message("envoy.config.core.v3.BindConfig", {
  sourceAddress: field(1, SocketAddress),
  freebind: boolValue(2),
  socketOptions: repeated(field(3, SocketOption)),
  localAddressSelector: field(6, TypedExtensionConfig),
});
export type BindConfig = Value<typeof BindConfig>;

export const EnvoyInternalAddress = message("envoy.config.core.v3.EnvoyInternalAddress", {
  serverListenerName: string(1),
  endpointId: string(2),
});
export type EnvoyInternalAddress = Value<typeof EnvoyInternalAddress>;

export const Address = message("envoy.config.core.v3.Address", {
  socketAddress: field(1, SocketAddress),
  pipe: field(2, Pipe),
  envoyInternalAddress: field(3, EnvoyInternalAddress),
});
export type Address = Value<typeof Address>;

export const CidrRange = message("envoy.config.core.v3.CidrRange", {
  addressPrefix: string(1),
  prefixLen: uint32Value(2),
});
export type CidrRange = Value<typeof CidrRange>;

export const ProxyProtocolPassThroughTLVs = message("envoy.config.core.v3.ProxyProtocolPassThroughTLVs", {
  matchType: enumeration(1, { INCLUDE_ALL: 0, INCLUDE: 1 }),
  tlvType: repeated(uint32(2)),
});
export type ProxyProtocolPassThroughTLVs = Value<typeof ProxyProtocolPassThroughTLVs>;

export const ProxyProtocolConfig = message("envoy.config.core.v3.ProxyProtocolConfig", {
  version: enumeration(1, Version),
  passThroughTlvs: field(2, ProxyProtocolPassThroughTLVs),
  addedTlvs: repeated(field(3, TlvEntry)),
});
export type ProxyProtocolConfig = Value<typeof ProxyProtocolConfig>;

export const SocketOptionsOverride = message("envoy.config.core.v3.SocketOptionsOverride", {
  socketOptions: repeated(field(1, SocketOption)),
});
export type SocketOptionsOverride = Value<typeof SocketOptionsOverride>;

export const UdpSocketConfig = message("envoy.config.core.v3.UdpSocketConfig", {
  maxRxDatagramSize: uint64Value(1),
  preferGro: boolValue(2),
});
export type UdpSocketConfig = Value<typeof UdpSocketConfig>;
