import fc from "fast-check";
import { expect, test } from "vitest";
import { LimitsConfig } from "../../../config/schema.ts";
import type { Endpoint, Match, Policy, Protocol, RouteTable, TableDiff } from "../../../model/index.ts";
import { byHost, byPath, byPort, byServerName, TableBuilder, type ServiceInput } from "../../testing/table-builder.ts";
import type { Resource, ResourceChange } from "../resource.ts";
import type { TranslateSettings } from "./settings.ts";
import { Translator } from "./translator.ts";

const SETTINGS: TranslateSettings = {
  site: {
    ...{ domain: "test", gateHost: "gate.test", pathHost: "paths.test" },
    secure: false,
    port: 7080,
    dial: "::1",
  },
  limits: LimitsConfig.parse({}),
  secret: "secret",
  fleets: [
    { name: "local", listen: { ip: "127.0.0.1", port: 7080 } },
    { name: "edge", listen: { ip: "10.0.0.1", port: 80 }, providers: ["local", "k8s"] },
  ],
  listener: "main",
  certificates: 0,
  requestId: "keep",
  proxiesFrom: [],
  fronts: { from: [], hops: 1 },
  dialRules: { loopback: ["local"], sockets: [], ownPorts: new Set() },
  via: "taskgate-x",
  early: [],
  earlyOfFronts: [],
  filters: [],
  accessLog: { http: [], tcp: [], upstream: [] },
  metadata: ({ service }) => ({ service }),
};

const keyOf = ({ type, name, fleet }: Pick<Resource, "type" | "name" | "fleet">) => `${type} ${fleet ?? "*"} ${name}`;

function keep(all: Map<string, Resource>, { set, removed }: ResourceChange): void {
  for (const key of removed) all.delete(keyOf(key));
  for (const resource of set) all.set(keyOf(resource), resource);
}

/** All that is there, by key, however it came. */
function translated(
  steps: readonly { readonly table: RouteTable; readonly diff: TableDiff }[],
  translator = new Translator(SETTINGS),
) {
  // prettier-ignore
  const all = new Map<string, Resource>();
  // Listeners follow from nothing that is tried here.
  keep(all, { set: translator.start().filter(({ type }) => type.endsWith(".RouteConfiguration")), removed: [] });
  for (const { table, diff } of steps) keep(all, translator.translate(table, diff));
  const entries = [...all].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    resources: JSON.parse(JSON.stringify(entries)) as unknown,
    problems: translator.problems.toSorted(byText),
  };
}

function byText(a: object, b: object): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

const NAMES = ["a", "b", "c"] as const;
const KEYS = ["local/a/s", "local/b/s", "k8s/c/s", "other/d/s", "gate/taskgate/api"] as const;
const endpoint: fc.Arbitrary<Endpoint> = fc.record({
  address: fc.oneof(
    fc.record({
      ip: fc.constantFrom("127.0.0.1", "10.0.0.1", "169.254.169.254"),
      port: fc.integer({ min: 0, max: 3 }),
    }),
    fc.constant({ unix: "/run/x.sock" }),
  ),
  replica: fc.constantFrom("0", "1"),
  weight: fc.constantFrom(1, 5),
  health: fc.constantFrom("unknown", "healthy", "unhealthy", "draining"),
});
const policy: fc.Arbitrary<Policy> = fc.record(
  {
    sticky: fc.boolean(),
    rewriteHost: fc.boolean(),
    idleTimeoutMs: fc.constantFrom(1000, 2000),
    upstreamTls: fc.constantFrom({ verify: "full" as const }, { verify: "none" as const }),
    activeHealth: fc.constant({ path: "/", everyMs: 1000 }),
  },
  { requiredKeys: [] },
);
const service: fc.Arbitrary<ServiceInput> = fc
  .record({
    key: fc.constantFrom(...KEYS),
    protocol: fc.constantFrom<Protocol>("http", "grpc", "tcp", "tls"),
    policy,
    hosts: fc.subarray([...NAMES]),
    paths: fc.subarray([...NAMES]),
    strip: fc.boolean(),
    replicas: fc.boolean(),
    raw: fc.boolean(),
    endpoints: fc.array(endpoint, { maxLength: 3 }),
  })
  .map(({ key, protocol, hosts, paths, strip, replicas, raw, ...rest }) => {
    // Names are a service's own, as the core has it: claims are not what is tried here.
    const own = key.split("/").join("-");
    const matches: Match[] = [
      ...hosts.map((name) => byHost(`${name}-${own}.test`)),
      ...(protocol === "http" ? paths.map((name) => byPath("paths.test", `/${own}/${name}/`, strip)) : []),
      ...(raw && protocol === "tcp" ? [byPort(20_000 + KEYS.indexOf(key))] : []),
      ...(raw && protocol === "tls" ? [byServerName(`${own}.tls.test`)] : []),
    ];
    return { ...rest, key, protocol, matches, ...(replicas && { replicas: { "1": [byHost(`one-${own}.test`)] } }) };
  });
const change = fc.oneof({ weight: 4, arbitrary: service }, fc.constantFrom("local/a/s", "local/b/s", "k8s/c/s"));

test("changes one by one come to what the whole at once is", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const builder = new TableBuilder();
      const steps = changes.map((one) => {
        if (typeof one === "string") return builder.remove(one).commit();
        // Whole again: routes that it had and has no more are gone.
        builder.remove(one.key).service(one);
        return builder.commit();
      });
      const last = steps.at(-1);
      if (last === undefined) return;
      const whole = wholeOf(last.table);
      expect(translated(steps.map((step, at) => ({ ...step, table: tables(changes)[at] ?? step.table })))).toEqual(translated([whole])); // prettier-ignore
    }),
    { numRuns: 200 },
  );
});

/** The table as it was after each change: a builder's own goes on changing. */
function tables(changes: readonly (ServiceInput | string)[]): RouteTable[] {
  return changes.map((_, at) => {
    const builder = new TableBuilder();
    for (const one of changes.slice(0, at + 1)) {
      builder.remove(typeof one === "string" ? one : one.key);
      if (typeof one !== "string") builder.service(one);
    }
    return builder.commit().table;
  });
}

function wholeOf(table: RouteTable): { readonly table: RouteTable; readonly diff: TableDiff } {
  const all = <T>(entries: ReadonlyMap<string, T>) => ({ set: [...entries.values()], removed: [] });
  const diff: TableDiff = {
    ...{ from: { epoch: "test", seq: 0 }, to: table.revision, rest: true },
    ...{ routes: all(table.routes), upstreams: all(table.upstreams), endpoints: all(table.endpoints), problems: all(table.problems) }, // prettier-ignore
  };
  return { table, diff };
}

test("the order in which services came says nothing about what Envoys are told", () => {
  fc.assert(
    fc.property(fc.uniqueArray(service, { selector: ({ key }) => key }), (services) => {
      const build = (list: readonly ServiceInput[]) => {
        const builder = new TableBuilder();
        for (const one of list) builder.service(one);
        return translated([builder.commit()]);
      };
      expect(build(services)).toEqual(build(services.toReversed()));
    }),
  );
});

function many(count: number): TableBuilder {
  const builder = new TableBuilder();
  for (let at = 0; at < count; at += 1) {
    builder.service({
      key: `local/t${at}/web`,
      matches: [byHost(`t${at}.test`)],
      endpoints: [{ ip: "10.0.0.1", port: 80 }],
    });
  }
  return builder;
}

test("one more service, one endpoint and one that goes are so many resources, whatever else there is", () => {
  const translator = new Translator(SETTINGS);
  const builder = many(300);
  const first = builder.commit();
  translator.translate(first.table, first.diff);
  const told = (): string[] => {
    const { table, diff } = builder.commit();
    const { set, removed } = translator.translate(table, diff);
    const names = (list: readonly Pick<Resource, "type" | "name" | "fleet">[], sign: string) =>
      list.map((one) => `${sign} ${one.type.split(".").at(-1) ?? ""} ${one.name} ${one.fleet ?? "*"}`);
    return [...names(set, "+"), ...names(removed, "-")];
  };
  builder.endpoints("local/t7/web", [{ ip: "10.0.0.2", port: 81 }]);
  expect(told()).toEqual(["+ ClusterLoadAssignment local/t7/web local", "+ ClusterLoadAssignment local/t7/web edge"]);
  builder.service({ key: "other/new/web", matches: [byHost("new.test")], endpoints: [] });
  expect(told().filter((line) => line.startsWith("+"))).toEqual([
    "+ Cluster tg/new.test:7080 local",
    "+ ClusterLoadAssignment other/new/web local",
  ]);
  builder.remove("local/t9/web");
  expect(told()).toEqual([
    ...["- Cluster tg/t9.test:7080 local", "- Cluster tg/t9.test:7080 edge"],
    ...["- ClusterLoadAssignment local/t9/web local", "- ClusterLoadAssignment local/t9/web edge"],
  ]);
  expect(told()).toEqual([]);
});

test("names of clusters lead back to their routes", () => {
  const translator = new Translator(SETTINGS);
  const builder = new TableBuilder();
  const matches: Match[] = [
    ...[byHost("a.test"), byPath("paths.test", "/a/b/"), byPath("root.test", "/", false)],
    { by: "headers", listener: "main", all: [["x-job", "1 2"]] },
  ];
  builder.service({ key: "local/a/s", matches, endpoints: [] });
  builder.service({ key: "local/b/s", protocol: "tcp", matches: [byPort(20_001)], endpoints: [] });
  builder.service({ key: "local/c/s", protocol: "tls", matches: [byServerName("c.tls.test")], endpoints: [] });
  const { table, diff } = builder.commit();
  const { set } = translator.translate(table, diff);
  const clusters = set.filter(({ type, fleet }) => type === "envoy.config.cluster.v3.Cluster" && fleet === "local");
  expect(clusters.map(({ name }) => translator.routeId(name))).toEqual([...table.routes.keys()]);
  expect(translator.routeId("tunnel")).toBeUndefined();
});

test("a tunnel leads to a usable endpoint, of its replica where the route is to one", () => {
  const translator = new Translator(SETTINGS);
  const builder = new TableBuilder();
  const endpoints: Endpoint[] = [
    { address: { ip: "169.254.169.254", port: 80 }, replica: "0", weight: 1, health: "healthy" },
    { address: { ip: "10.0.0.1", port: 80 }, replica: "0", weight: 1, health: "unhealthy" },
    { address: { ip: "10.0.0.2", port: 80 }, replica: "0", weight: 1, health: "healthy" },
    { address: { ip: "fd00::1", port: 80 }, replica: "1", weight: 1, health: "unknown" },
  ];
  builder.service({ key: "local/a/s", protocol: "tcp", matches: [byHost("a.test")], endpoints, replicas: { "1": [byHost("a-1.test")] } }); // prettier-ignore
  const { table, diff } = builder.commit();
  translator.translate(table, diff);
  const routes = [...table.routes.values()];
  const targets = routes.map((route) => new Set(Array.from({ length: 40 }, () => translator.tunnelTarget(route))));
  expect(targets).toEqual([new Set(["10.0.0.2:80", "[fd00::1]:80"]), new Set(["[fd00::1]:80"])]);
});

test("a service whose certificates cannot be used is left out with a problem, whoever else is there", () => {
  const translator = new Translator(SETTINGS);
  const builder = new TableBuilder();
  const endpoints = [{ ip: "10.0.0.1", port: 80 }];
  const upstreamTls = {
    verify: "full",
    identity: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
  } as const;
  const bad = { key: "other/a/s", matches: [byHost("a.test")], endpoints };
  builder.service({ ...bad, policy: { upstreamTls } });
  builder.service({ key: "other/b/s", matches: [byHost("b.test")], endpoints });
  const first = builder.commit();
  const { set } = translator.translate(first.table, first.diff);
  expect(set.map(({ name }) => name)).toEqual(["tg/b.test:7080", "other/a/s", "other/b/s"]);
  expect(translator.problems).toMatchObject([{ subject: "other/a/s", code: "upstream_tls_unusable" }]);
  builder.service(bad);
  const mended = builder.commit();
  expect(translator.translate(mended.table, mended.diff).set.map(({ name }) => name)).toContain("tg/a.test:7080");
  expect(translator.problems).toEqual([]);
});
