import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AccessLogConfig, LimitsConfig, TracingConfig } from "../../config/schema.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger } from "../../platform/logger.ts";
import { until } from "../testing/rig.ts";
import { byHost, TableBuilder } from "../testing/table-builder.ts";
import { TestGatekeeper } from "../testing/test-gatekeeper.ts";
import type { PlaneStatus } from "../dataplane.ts";
import { PART_ENTRIES } from "./diff-parts.ts";
import { type EnvoyPlane, startEnvoyPlane } from "./plane.ts";
import { NO_LOCAL_ENVOY } from "./testing/no-local-envoy.ts";
import { NOBODY_VERIFIED } from "./testing/start-envoy-plane.ts";
import { SimulatedEnvoy } from "./xds/testing/simulated-envoy.ts";

const SERVICES = 20_000;

let scope: AsyncDisposableStack;
let folder: string;
let plane: EnvoyPlane;
let applied: number;

beforeEach(async () => {
  scope = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "tg-first-"));
  scope.defer(() => rm(folder, { recursive: true }));
  const host = "127.0.0.1";
  const names = { domain: "localhost", gateHost: "taskgate.localhost", pathHost: "paths.localhost" };
  plane = await startEnvoyPlane({
    site: { ...names, secure: false, port: 80, dial: host },
    ...{ gatekeeper: new TestGatekeeper(), explain: () => Promise.reject(new Error("nobody asks")) },
    ...{
      listener: "main",
      secret: "secret of a test",
      limits: LimitsConfig.parse({}),
      proxiesFrom: [],
      fronts: { from: [], hops: 1 },
    },
    ...{ clock: systemClock, logger: silentLogger, requestId: "keep", accessLog: AccessLogConfig.parse({}) },
    tracing: TracingConfig.parse({}),
    dialRules: { loopback: ["local"], sockets: [], ownPorts: new Set() },
    local: {
      ...{ listen: { ip: host, port: 80 }, create: () => NO_LOCAL_ENVOY },
      ...{ controlSocket: join(folder, "control.sock"), gateSocket: join(folder, "gate.sock") },
    },
    ...{ certificates: null, fleets: [], remote: null, apiSocket: "/nowhere" },
    ...{ verification: NOBODY_VERIFIED, isAdmin: () => false },
  });
  scope.use(plane);
  applied = -Infinity;
  const note = ({ instances }: PlaneStatus): void => void (applied = instances.get("one")?.applied ?? -Infinity);
  scope.use(plane.observe(note));
});
afterEach(() => scope.disposeAsync());

const envoy = (): SimulatedEnvoy =>
  scope.use(new SimulatedEnvoy({ target: `unix:${join(folder, "control.sock")}`, id: "one" }).connect());

function fill(builder: TableBuilder, count: number): TableBuilder {
  for (let at = 0; at < count; at += 1) {
    const endpoints = [{ ip: "127.0.0.1", port: 8080 }];
    builder.service({ key: `local/job-${at}/web`, matches: [byHost(`job-${at}.localhost`)], endpoints });
  }
  return builder;
}

test("a first table of 20,000 services leaves the event loop a turn for every part of it, and counts once it is whole", async () => {
  const one = envoy().subscribe("cluster").subscribe("listener");
  await one.until(() => one.has("listener", "main"));
  const before = one.held.cluster.size;
  const { table, diff } = fill(new TableBuilder(), SERVICES).commit();
  let [turns, isCounting] = [0, true];
  const count = (): void => {
    if (isCounting) setImmediate(count);
    turns += 1;
  };
  plane.apply(table, diff);
  plane.settled();
  count();
  expect(applied).toBeLessThan(diff.to.seq);
  const early: number[] = [];
  await one.until(() => {
    if (applied >= diff.to.seq) early.push(one.held.cluster.size);
    return one.held.cluster.size >= before + SERVICES;
  });
  isCounting = false;
  // Its endpoints, then its routes.
  expect(turns).toBeGreaterThanOrEqual(Math.floor((2 * SERVICES) / PART_ENTRIES));
  expect(one.received.filter(({ type }) => type === "cluster").length).toBeGreaterThan(10);
  await until(() => applied === diff.to.seq);
  expect(early.every((clusters) => clusters >= before + SERVICES)).toBe(true);
});

test("what changes while a first table is taken comes after it, and nothing goes before all of it is there", async () => {
  const builder = fill(new TableBuilder(), 2000);
  const first = builder.commit();
  plane.apply(first.table, first.diff);
  plane.settled();
  const one = envoy();
  one.held.cluster.set("tg/job-1999.localhost", "of an earlier gate");
  one.held.cluster.set("tg/gone.localhost", "of an earlier gate");
  one.subscribe("cluster").subscribe("listener");
  builder
    .remove("local/job-7/web")
    .service({ key: "local/new/web", matches: [byHost("new.localhost")], endpoints: [] });
  const second = builder.commit();
  plane.apply(second.table, second.diff);
  await one.until(() => one.has("cluster", "tg/new.localhost") && !one.has("cluster", "tg/job-7.localhost"));
  await one.until(() => !one.has("cluster", "tg/gone.localhost"));
  const orderOf = (name: string): number => one.received.findIndex(({ names }) => names.includes(name));
  expect(orderOf("tg/new.localhost")).toBeGreaterThanOrEqual(orderOf("tg/job-1999.localhost"));
  const removals = one.received.findIndex(({ removed }) => removed.includes("tg/gone.localhost"));
  expect(removals).toBeGreaterThan(orderOf("tg/job-1999.localhost"));
  expect(one.held.cluster.has("tg/job-1999.localhost")).toBe(true);
  await until(() => applied === second.diff.to.seq);
});
