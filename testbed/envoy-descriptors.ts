import { readFileSync } from "node:fs";
import * as kit from "../src/dataplanes/envoy/proto/kit.ts";

/** google.protobuf.FileDescriptorProto, as far as it says what messages look like; kinds and labels by their numbers in it. */
const FieldOptions = kit.message("google.protobuf.FieldOptions", { deprecated: kit.bool(3) });
const MessageOptions = kit.message("google.protobuf.MessageOptions", { mapEntry: kit.bool(7) });
const FieldDescriptor = kit.message("google.protobuf.FieldDescriptorProto", {
  name: kit.string(1),
  number: kit.int32(3),
  label: kit.enumeration(4, { LABEL_OPTIONAL: 1, LABEL_REQUIRED: 2, LABEL_REPEATED: 3 }),
  type: kit.enumeration(5, { TYPE_GROUP: 10, TYPE_MESSAGE: 11, TYPE_ENUM: 14 }),
  typeName: kit.string(6),
  options: kit.field(8, FieldOptions),
});
const EnumValueDescriptor = kit.message("google.protobuf.EnumValueDescriptorProto", {
  name: kit.string(1),
  number: kit.int32(2),
});
const EnumDescriptor = kit.message("google.protobuf.EnumDescriptorProto", {
  name: kit.string(1),
  value: kit.repeated(kit.field(2, EnumValueDescriptor)),
});
const MessageDescriptor = kit.message("google.protobuf.DescriptorProto", {
  name: kit.string(1),
  field: kit.repeated(kit.field(2, FieldDescriptor)),
  get nestedType() {
    return kit.repeated(kit.field(3, MessageDescriptor));
  },
  enumType: kit.repeated(kit.field(4, EnumDescriptor)),
  options: kit.field(7, MessageOptions),
});
const FileDescriptor = kit.message("google.protobuf.FileDescriptorProto", {
  name: kit.string(1),
  package: kit.string(2),
  messageType: kit.repeated(kit.field(4, MessageDescriptor)),
  enumType: kit.repeated(kit.field(5, EnumDescriptor)),
});

type FieldDescriptor = kit.Value<typeof FieldDescriptor>;
type MessageDescriptor = kit.Value<typeof MessageDescriptor>;
type EnumDescriptor = kit.Value<typeof EnumDescriptor>;

/** Names of scalars by the numbers that descriptors have for them. */
const SCALARS = new Map([
  [1, "double"],
  [2, "float"],
  [3, "int64"],
  [4, "uint64"],
  [5, "int32"],
  [7, "fixed32"],
  [8, "bool"],
  [9, "string"],
  [12, "bytes"],
  [13, "uint32"],
]);

/** What an Envoy says of a field. */
export interface DescribedField {
  /** As in the .proto file. */
  readonly name: string;
  readonly number: number;
  readonly label: "singular" | "repeated" | "map";
  /** A scalar's name, "enum", or a message's full name; of maps, that of their values. */
  readonly kind: string;
  /** Of enumerations, by name. */
  readonly numbers: ReadonlyMap<string, number>;
  readonly isDeprecated: boolean;
}

/**
 * All messages that an Envoy program knows, by full name. A program that is built with protobuf holds the descriptors of its messages as they
 * are on the wire, each file's beginning with its name; these are looked for. Takes a second and the program's size in memory.
 */
export function describedBy(program: string): ReadonlyMap<string, readonly DescribedField[]> {
  const messages = new Map<string, MessageDescriptor>();
  const enums = new Map<string, EnumDescriptor>();
  const add = (scope: string, message: MessageDescriptor): void => {
    const name = `${scope}.${message.name}`;
    messages.set(name, message);
    for (const inner of message.nestedType ?? []) add(name, inner);
    for (const inner of message.enumType ?? []) enums.set(`${name}.${inner.name}`, inner);
  };
  for (const bytes of descriptorsIn(readFileSync(program))) {
    const file = kit.decode(FileDescriptor, bytes);
    for (const message of file.messageType ?? []) add(file.package ?? "", message);
    for (const found of file.enumType ?? []) enums.set(`${file.package}.${found.name}`, found);
  }
  const describe = (field: FieldDescriptor) => describeField(field, messages, enums);
  return new Map([...messages].map(([name, { field = [] }]) => [name, field.map(describe)]));
}

function describeField(
  field: FieldDescriptor,
  messages: ReadonlyMap<string, MessageDescriptor>,
  enums: ReadonlyMap<string, EnumDescriptor>,
): DescribedField {
  const typeName = field.typeName?.slice(1) ?? "";
  const entry = messages.get(typeName);
  const value = entry?.options?.mapEntry === true ? entry.field?.find(({ number }) => number === 2) : undefined;
  if (value !== undefined) return { ...describeField(value, messages, enums), ...outside(field), label: "map" };
  const { value: values = [] } = enums.get(typeName) ?? {};
  return {
    ...outside(field),
    label: field.label === "LABEL_REPEATED" ? "repeated" : "singular",
    kind: field.type === "TYPE_ENUM" ? "enum" : (SCALARS.get(Number(field.type)) ?? typeName),
    numbers: new Map(values.map(({ name = "", number = 0 }) => [name, number])),
  };
}

function outside({ name = "", number = 0, options }: FieldDescriptor) {
  return { name, number, isDeprecated: options?.deprecated === true };
}

/** Bytes of every file of Envoy's API, and of those that it builds on. */
function descriptorsIn(program: Buffer): Buffer[] {
  const found = new Map<string, Buffer>();
  for (const folder of ["envoy/", "xds/", "udpa/", "google/protobuf/", "google/rpc/", "google/api/expr/"]) {
    for (let at = program.indexOf(folder); at >= 0; at = program.indexOf(folder, at + 1)) {
      const name = program.toString("latin1", at, at + (program[at - 1] ?? 0));
      if (program[at - 2] !== 0x0a || !/^[\w/]+\.proto$/.test(name)) continue;
      const bytes = program.subarray(at - 2, endOfDescriptor(program, at - 2));
      if (bytes.length > (found.get(name)?.length ?? 0)) found.set(name, bytes);
    }
  }
  return [...found.values()];
}

/** Fields of a descriptor stand by number, the last being its syntax (12): what comes after is another's. */
function endOfDescriptor(program: Buffer, start: number): number {
  let at = start;
  for (let last = 0; ;) {
    const tag = program[at] ?? 0;
    const number = tag >>> 3;
    if ((tag & 7) !== 2 || number < Math.max(last, 1) || number > 12 || (number === 1 && at > start)) return at;
    const size = readLength(program, at + 1);
    at = size.next + size.length;
    last = number;
  }
}

function readLength(program: Buffer, at: number): { length: number; next: number } {
  let length = 0;
  for (let shift = 0; shift < 32; shift += 7) {
    const byte = program[at++] ?? 0;
    length |= (byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return { length, next: at };
}
