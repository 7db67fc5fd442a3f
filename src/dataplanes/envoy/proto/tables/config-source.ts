import { any, bool, duration, enumeration, field, int64, message, repeated, string, uint32Value } from "../kit.ts";
import type { Value } from "../kit.ts";
import { HeaderValue, TypedExtensionConfig, WatchedDirectory } from "./core.ts";

/** Where Envoy takes configuration from, and gRPC services that it calls. */

/** envoy.config.core.v3.ApiVersion. */
export const ApiVersion = { AUTO: 0, V3: 2 } as const;

export const BackoffStrategy = message("envoy.config.core.v3.BackoffStrategy", {
  baseInterval: duration(1),
  maxInterval: duration(2),
});
export type BackoffStrategy = Value<typeof BackoffStrategy>;

export const GrpcRetryPolicy = message("envoy.config.core.v3.RetryPolicy", {
  retryBackOff: field(1, BackoffStrategy),
  numRetries: uint32Value(2),
  retryOn: string(3),
  hostSelectionRetryMaxAttempts: int64(6),
});
export type GrpcRetryPolicy = Value<typeof GrpcRetryPolicy>;

export const EnvoyGrpc = message("envoy.config.core.v3.GrpcService.EnvoyGrpc", {
  clusterName: string(1),
  authority: string(2),
  retryPolicy: field(3, GrpcRetryPolicy),
  maxReceiveMessageLength: uint32Value(4),
  skipEnvoyHeaders: bool(5),
});
export type EnvoyGrpc = Value<typeof EnvoyGrpc>;

export const GrpcService = message("envoy.config.core.v3.GrpcService", {
  envoyGrpc: field(1, EnvoyGrpc),
  timeout: duration(3),
  initialMetadata: repeated(field(5, HeaderValue)),
  retryPolicy: field(6, GrpcRetryPolicy),
});
export type GrpcService = Value<typeof GrpcService>;

export const ApiConfigSource = message("envoy.config.core.v3.ApiConfigSource", {
  apiType: enumeration(1, { REST: 1, GRPC: 2, DELTA_GRPC: 3, AGGREGATED_GRPC: 5, AGGREGATED_DELTA_GRPC: 6 }),
  transportApiVersion: enumeration(8, ApiVersion),
  clusterNames: repeated(string(2)),
  grpcServices: repeated(field(4, GrpcService)),
  refreshDelay: duration(3),
  requestTimeout: duration(5),
  setNodeOnFirstMessageOnly: bool(7),
  configValidators: repeated(field(9, TypedExtensionConfig)),
});
export type ApiConfigSource = Value<typeof ApiConfigSource>;

export const AggregatedConfigSource = message("envoy.config.core.v3.AggregatedConfigSource", {});

export const PathConfigSource = message("envoy.config.core.v3.PathConfigSource", {
  path: string(1),
  watchedDirectory: field(2, WatchedDirectory),
  pollInterval: duration(3),
});
export type PathConfigSource = Value<typeof PathConfigSource>;

export const ConfigSource = message("envoy.config.core.v3.ConfigSource", {
  pathConfigSource: field(8, PathConfigSource),
  apiConfigSource: field(2, ApiConfigSource),
  ads: field(3, AggregatedConfigSource),
  initialFetchTimeout: duration(4),
  resourceApiVersion: enumeration(6, ApiVersion),
});
export type ConfigSource = Value<typeof ConfigSource>;

export const ExtensionConfigSource = message("envoy.config.core.v3.ExtensionConfigSource", {
  configSource: field(1, ConfigSource),
  defaultConfig: any(2),
  applyDefaultConfigWithoutWarming: bool(3),
  typeUrls: repeated(string(4)),
});
export type ExtensionConfigSource = Value<typeof ExtensionConfigSource>;

export const HttpUri = message("envoy.config.core.v3.HttpUri", {
  uri: string(1),
  cluster: string(2),
  timeout: duration(3),
});
export type HttpUri = Value<typeof HttpUri>;
