import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import protobuf from "protobufjs";

const DEPS = path.resolve(createRequire(import.meta.url).resolve("@grpc/grpc-js-xds"), "../../../deps");
const WELL_KNOWN = ["any", "duration", "empty", "struct", "timestamp", "wrappers"];

/** The .proto files of Envoy's API, xDS and Google's, as grpc-js-xds brings them. Fields have their .proto names. */
export function officialProtos(): protobuf.Root {
  const root = new protobuf.Root();
  for (const file of globSync(`${DEPS}/{envoy-api,xds,googleapis}/{envoy,xds,udpa,google}/**/*.proto`)) {
    protobuf.parse(readFileSync(file, "utf8"), root, { keepCase: true });
  }
  for (const name of WELL_KNOWN) {
    const file = protobuf.common.get(`google/protobuf/${name}.proto`);
    if (file?.nested !== undefined) root.addJSON(file.nested);
  }
  return root;
}

/** protobuf's JSON name of a field. */
export function jsonName(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
