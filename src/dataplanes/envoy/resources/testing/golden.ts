import { parse } from "yaml";
import { z } from "zod";
import { LimitsConfig } from "../../../../config/schema.ts";
import { byHeaders, byHost, byPath, byPort, byServerName, TableBuilder } from "../../../testing/table-builder.ts";
import type { Endpoint, Match, Policy } from "../../../../model/index.ts";
import { tableOf, toJson } from "../../proto/kit.ts";
import "../../proto/tables.ts";
import { LocalReplyConfig } from "../../proto/tables/connection-manager.ts";
import { localReplies } from "../notice-replies.ts";
import type { Resource, ResourceChange } from "../../resource.ts";
import type { TranslateSettings } from "../settings.ts";
import { Translator } from "../translator.ts";

const MATCH = z.union([
  z.strictObject({ host: z.string() }),
  z.strictObject({ path: z.string(), host: z.string(), strip: z.boolean().default(true) }),
  z.strictObject({ headers: z.array(z.tuple([z.string(), z.string()])) }),
  z.strictObject({ serverName: z.string() }),
  z.strictObject({ port: z.number() }),
]);
const ENDPOINT = z.strictObject({
  address: z.union([z.strictObject({ ip: z.string(), port: z.number() }), z.strictObject({ unix: z.string() })]),
  replica: z.string().default("0"),
  weight: z.number().default(1),
  health: z.enum(["unknown", "healthy", "unhealthy", "draining"]).default("healthy"),
});
const SERVICE = z.strictObject({
  key: z.string(),
  protocol: z.enum(["http", "grpc", "tcp", "tls"]).default("http"),
  policy: z.record(z.string(), z.unknown()).default({}),
  matches: z.array(MATCH),
  replicas: z.record(z.string(), z.array(MATCH)).default({}),
  endpoints: z.array(ENDPOINT).default([]),
});
const STEP = z.strictObject({
  services: z.array(SERVICE).default([]),
  remove: z.array(z.string()).default([]),
  certificates: z.array(z.strictObject({ chain: z.string(), key: z.string() })).default([]),
});
const INPUT = z.strictObject({
  about: z.string(),
  settings: z
    .strictObject({
      secure: z.boolean().default(false),
      port: z.number().default(7080),
      certificates: z.number().default(0),
      proxiesFrom: z.array(z.string()).default([]),
      fronts: z.strictObject({ from: z.array(z.string()), hops: z.number() }).default({ from: [], hops: 1 }),
      limits: z.record(z.string(), z.unknown()).default({}),
      fleets: z
        .array(
          z.strictObject({
            name: z.string(),
            listen: z.strictObject({ ip: z.string(), port: z.number() }),
            providers: z.array(z.string()).optional(),
          }),
        )
        .default([{ name: "local", listen: { ip: "127.0.0.1", port: 7080 } }]),
    })
    .prefault({}),
  /** Whether what is there before any table is part of what is on record. */
  start: z.boolean().default(false),
  /** The same of what Envoy answers by itself, which every listener has. */
  replies: z.boolean().default(false),
  steps: z.array(STEP).default([]),
});

/** What became of one input, step by step, and what all of it comes to. */
export interface GoldenRun {
  readonly told: unknown;
  /** All that Envoys have at the end. */
  readonly all: readonly Resource[];
  readonly fleets: readonly string[];
}

/** Throws where the input has what it should not. */
export function runGolden(text: string): GoldenRun {
  const input = INPUT.parse(parse(text));
  const translator = new Translator(settingsOf(input.settings));
  const all = new Map<string, Resource>();
  const started = { set: translator.start(), removed: [] };
  keep(all, started);
  const builder = new TableBuilder();
  const steps = input.steps.map((step) => {
    for (const key of step.remove) builder.remove(key);
    for (const service of step.services) builder.service(serviceOf(service));
    const { table, diff } = builder.commit();
    const change = translator.translate(table, diff);
    const secrets = translator.secrets(step.certificates.map((certificate) => ({ names: [], ...certificate })));
    keep(all, change);
    keep(all, secrets);
    return { ...shown(change), ...(secrets.set.length > 0 && { secrets: shown(secrets).set }), problems: structuredClone(translator.problems) }; // prettier-ignore
  });
  return {
    told: {
      ...(input.start && { start: shown(started).set.filter(({ type }) => type !== "Secret") }),
      ...(input.replies && { replies: once(toJson(LocalReplyConfig, localReplies("taskgate.localhost"))) }),
      steps,
    },
    all: [...all.values()],
    fleets: input.settings.fleets.map(({ name }) => name),
  };
}

/** As Envoy reads it. */
export function bodyOf({ type, body }: Resource): unknown {
  const table = tableOf(type);
  if (table === undefined) throw new Error(`no table of ${type}`);
  return toJson(table, body);
}

function settingsOf(given: z.output<typeof INPUT>["settings"]): TranslateSettings {
  const { secure, port, limits, fleets, ...rest } = given;
  const hosts = { domain: "example.test", gateHost: "taskgate.example.test", pathHost: "paths.example.test" };
  return {
    site: { ...hosts, secure, port, dial: "127.0.0.1" },
    limits: LimitsConfig.parse(limits),
    secret: "secret",
    fleets: fleets.map(({ providers, ...fleet }) => ({ ...fleet, ...(providers !== undefined && { providers }) })),
    listener: "main",
    requestId: "keep",
    dialRules: { loopback: ["local"], sockets: [], ownPorts: new Set([port]) },
    via: "taskgate-golden",
    early: [],
    earlyOfFronts: [],
    filters: [],
    accessLog: { http: [], tcp: [], upstream: [] },
    metadata: ({ service }) => ({ service }),
    ...rest,
  };
}

function serviceOf({ policy, matches, replicas, endpoints, ...rest }: z.output<typeof SERVICE>) {
  return {
    ...rest,
    policy: policy as Policy,
    matches: matches.map(matchOf),
    replicas: Object.fromEntries(Object.entries(replicas).map(([name, list]) => [name, list.map(matchOf)])),
    endpoints: endpoints as Endpoint[],
  };
}

function matchOf(match: z.output<typeof MATCH>): Match {
  if ("path" in match) return byPath(match.host, match.path, match.strip);
  if ("host" in match) return byHost(match.host);
  if ("headers" in match) return byHeaders(match.headers);
  return "port" in match ? byPort(match.port) : byServerName(match.serverName);
}

/** Texts shorter than that are read sooner than an alias of them is looked up. */
const WORTH_AN_ALIAS = 60;

/** The same with equal parts as one object, which YAML spells once: each reply has a form for everybody, and most of it is in all of them. */
function once(value: unknown): unknown {
  const known = new Map<string, unknown>();
  return JSON.parse(JSON.stringify(value), (_key, part: unknown) => {
    const spelled = JSON.stringify(part);
    if (typeof part !== "object" || part === null || spelled.length < WORTH_AN_ALIAS) return part;
    if (!known.has(spelled)) known.set(spelled, part);
    return known.get(spelled);
  });
}

/** Long, and the same everywhere. */
function withoutReplies(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body), (key, value: unknown) =>
    key === "localReplyConfig" ? "as on record" : value,
  );
}

function keep(all: Map<string, Resource>, { set, removed }: ResourceChange): void {
  const keyOf = ({ type, name, fleet }: Pick<Resource, "type" | "name" | "fleet">) => `${type} ${fleet ?? "*"} ${name}`;
  for (const key of removed) all.delete(keyOf(key));
  for (const resource of set) all.set(keyOf(resource), resource);
}

function shown({ set, removed }: ResourceChange) {
  const short = (type: string) => type.slice(type.lastIndexOf(".") + 1);
  const whose = (fleet: string | null) => (fleet === null ? {} : { fleet });
  return {
    set: set.map((one) => ({ type: short(one.type), name: one.name, ...whose(one.fleet), subject: one.subject, body: withoutReplies(bodyOf(one)) })), // prettier-ignore
    removed: removed.map(({ type, name, fleet }) => ({ type: short(type), name, ...whose(fleet) })),
  };
}
