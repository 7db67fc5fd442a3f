import type * as loaded from "node:http";

/**
 * Node's `http`, loaded when it is wanted. An ECMAScript import of it reads every export, among them getters that load all of Node's fetch
 * client: 12 MiB, which each worker process would pay.
 */
export function http(): typeof loaded {
  return process.getBuiltinModule("node:http");
}
