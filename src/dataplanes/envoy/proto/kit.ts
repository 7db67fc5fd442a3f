/** What tables are made of, and what is done with them. How to add one: tables.ts. */
export { toJson } from "./json.ts";
export { allTables, decode, encode, field, map, message, repeated, tableOf } from "./message.ts";
export type { Message, Value } from "./message.ts";
export { bool, bytes, double, enumeration, int32, int64, string, uint32, uint64 } from "./scalars.ts";
export type { Int64 } from "./scalars.ts";
export type { Field } from "./type.ts";
export { EncodedAny, Empty, pack, rawAny, typeUrl, unpack } from "./well-known.ts";
export { any, boolValue, doubleValue, duration } from "./well-known.ts";
export { stringValue, struct, timestamp, uint32Value, uint64Value, value } from "./well-known.ts";
export type { Any, Duration, Json, Struct, Timestamp } from "./well-known.ts";
