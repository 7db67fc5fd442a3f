/**
 * Node's `http`. An ECMAScript import of it reads every export, among them getters that load all of Node's fetch client: 12 MiB, which each
 * worker process would pay for the names of status codes.
 */
export const http: typeof import("node:http") = process.getBuiltinModule("node:http");
