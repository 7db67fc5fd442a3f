import protobuf from "protobufjs";
import { describe, expect, test } from "vitest";
import { allTables, type Message } from "./kit.ts";
import "./tables.ts";
import { NEWER_FIELDS, NEWER_MESSAGES } from "./testing/newer.ts";
import { jsonName, officialProtos } from "./testing/official-protos.ts";

const root = officialProtos();

describe("tables are as Envoy's .proto files have them", () => {
  test.each([...allTables()].map((table) => [table.name, table] as const))("%s", (_, table) => {
    const type = find(table.name);
    expect(type === undefined).toBe(NEWER_MESSAGES.has(table.name));
    if (type !== undefined) expect(differences(table, type)).toEqual([]);
  });

  test("what is listed as newer is in a table", () => {
    const said = new Set([...allTables()].flatMap(everythingIn));
    const listed = Object.entries(NEWER_FIELDS).flatMap(([name, fields]) => fields.map((key) => `${name}.${key}`));
    expect([...NEWER_MESSAGES, ...listed].filter((name) => !said.has(name))).toEqual([]);
  });
});

function find(name: string): protobuf.Type | undefined {
  const found = root.lookup(name);
  return found instanceof protobuf.Type && found.fullName === `.${name}` ? found : undefined;
}

function differences(table: Message<unknown>, type: protobuf.Type): string[] {
  const official = new Map(type.fieldsArray.map((field) => [jsonName(field.name), field]));
  return Object.entries(table.fields).flatMap(([key, field]) => {
    const id = `${table.name}.${key}`;
    const theirs = official.get(key);
    if ((theirs === undefined) !== isNewer(table, key))
      return [`${id} is ${theirs === undefined ? "unknown" : "not newer"}`];
    if (theirs === undefined) return [];
    const wanted = describeOfficial(theirs);
    const found = `${field.number} ${field.label} ${field.type.name}`;
    return [
      ...(wanted === found ? [] : [`${id}: ${found}, officially ${wanted}`]),
      ...enumDifferences(table, key, theirs),
    ];
  });
}

function describeOfficial(field: protobuf.Field): string {
  field.resolve();
  const label = field instanceof protobuf.MapField ? "map" : field.repeated ? "repeated" : "singular";
  const resolved = field.resolvedType;
  const kind = resolved instanceof protobuf.Enum ? "enum" : (resolved?.fullName.slice(1) ?? field.type);
  return `${field.id} ${label} ${kind}`;
}

function enumDifferences(table: Message<unknown>, key: string, theirs: protobuf.Field): string[] {
  const official = theirs.resolvedType instanceof protobuf.Enum ? theirs.resolvedType.values : {};
  return Object.entries(table.fields[key]?.numbers ?? {}).flatMap(([name, number]) => {
    const wanted = isNewer(table, `${key}=${name}`) ? undefined : number;
    return official[name] === wanted ? [] : [`${table.name}.${key}=${name} is ${number}, officially ${official[name]}`];
  });
}

function isNewer(table: Message<unknown>, key: string): boolean {
  return NEWER_FIELDS[table.name]?.includes(key) ?? false;
}

function everythingIn(table: Message<unknown>): string[] {
  const fields = Object.entries(table.fields).flatMap(([key, field]) => [
    `${table.name}.${key}`,
    ...Object.keys(field.numbers ?? {}).map((name) => `${table.name}.${key}=${name}`),
  ]);
  return [table.name, ...fields];
}
