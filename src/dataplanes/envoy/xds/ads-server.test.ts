import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn, setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import grpc from "@grpc/grpc-js";
import { createLogger } from "../../../platform/logger.ts";
import { createManualClock } from "../../../store/testing/manual-clock.ts";
import { startGrpcServer } from "../grpc-server.ts";
import { AdsServer } from "./ads-server.ts";
import type { Admit } from "./ads-stream.ts";
import { cluster, endpoints, remove, set, small } from "./testing/resources.ts";
import { SimulatedEnvoy, type SimulatedOptions } from "./testing/simulated-envoy.ts";

const logger = createLogger({ level: "silent" });
let scope: AsyncDisposableStack;
let folder: string;

beforeEach(async () => {
  scope = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "tg-ads-"));
  scope.defer(() => rm(folder, { recursive: true }));
});
afterEach(() => scope.disposeAsync());

async function start(options: { readonly admit?: Admit; readonly isSettled?: boolean } = {}) {
  const { admit = ({ cluster: fleet }) => ({ fleet }), isSettled = true } = options;
  const clock = createManualClock(1_000_000);
  const ads = new AdsServer({ admit, clock, logger, changed: () => undefined });
  const unix = join(folder, `${Math.random().toString(36).slice(2)}.sock`);
  const server = await startGrpcServer({ addresses: [{ unix }], services: [ads.service], logger });
  scope.use(server);
  scope.use(ads);
  if (isSettled) ads.settled();
  const envoy = (more: Partial<SimulatedOptions> = {}) =>
    scope.use(new SimulatedEnvoy({ target: `unix:${unix}`, id: "e1", ...more }).connect());
  return { ads, clock, envoy, unix, server };
}

/** What each response had: `cluster +a +b` or `cluster -a`. */
const told = (envoy: SimulatedEnvoy): string[] =>
  envoy.received.map(({ type, names, removed }) =>
    [type, ...names.map((name) => `+${name}`), ...removed.map((name) => `-${name}`)].join(" "),
  );

/** All that is under way has come. */
async function quiet(): Promise<void> {
  await pause(30);
  await turn();
}

describe("subscriptions", () => {
  test.each([{ names: [] }, { names: ["*"] }])(
    "a first request for $names is one for all there are",
    async ({ names }) => {
      const { ads, envoy } = await start();
      ads.apply(set(cluster("a"), cluster("b")), 1);
      const one = envoy().subscribe("cluster", ...names);
      await one.until(() => one.has("cluster", "a", "b"));
      ads.apply(set(cluster("c")), 2);
      await one.until(() => one.has("cluster", "c"));
      expect(told(one)).toEqual(["cluster +a +b", "cluster +c"]);
    },
  );

  test("by name, an Envoy hears of these alone", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(endpoints("a", 1), endpoints("b", 1)), 1);
    const one = envoy().subscribe("endpoints", "a");
    await one.until(() => one.has("endpoints", "a"));
    ads.apply(set(endpoints("b", 2)), 2);
    ads.apply(set(endpoints("a", 2)), 3);
    await quiet();
    expect(told(one)).toEqual(["endpoints +a", "endpoints +a"]);
  });

  test("a name that is not there is said to be gone at once, and comes when it does", async () => {
    const { ads, envoy } = await start();
    const one = envoy().subscribe("endpoints", "later");
    await one.until(() => one.received.length === 1);
    ads.apply(set(endpoints("later", 1)), 1);
    await one.until(() => one.has("endpoints", "later"));
    expect(told(one)).toEqual(["endpoints -later", "endpoints +later"]);
  });

  test("whoever asks again for a name gets it again", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(endpoints("a", 1)), 1);
    const one = envoy().subscribe("endpoints", "a");
    await one.until(() => one.has("endpoints", "a"));
    one.subscribe("endpoints", "a");
    await one.until(() => one.received.length === 2);
    expect(told(one)).toEqual(["endpoints +a", "endpoints +a"]);
  });

  test("of a name that is not asked for any more nothing is told", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(endpoints("a", 1), endpoints("b", 1)), 1);
    const one = envoy().subscribe("endpoints", "a", "b");
    await one.until(() => one.has("endpoints", "a", "b"));
    one.unsubscribe("endpoints", "a");
    await quiet();
    ads.apply(set(endpoints("a", 2), endpoints("b", 2)), 2);
    ads.apply(remove(endpoints("a", 2)), 3);
    await quiet();
    expect(told(one)).toEqual(["endpoints +a +b", "endpoints +b"]);
  });

  test("a name that is no longer asked for beside all others is told as it is", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy().subscribe("cluster", "*", "a", "none");
    await one.until(() => one.received.length === 2);
    one.send({
      typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
      resourceNamesUnsubscribe: ["a", "none"],
    });
    await one.until(() => one.received.length === 4);
    expect(told(one)).toEqual(["cluster +a", "cluster -none", "cluster +a", "cluster -none"]);
  });

  test("without * any more, an Envoy hears of what it named alone", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a"), cluster("b")), 1);
    const one = envoy().subscribe("cluster", "*", "a");
    await one.until(() => one.has("cluster", "a", "b"));
    one.unsubscribe("cluster", "*");
    await quiet();
    ads.apply(set(cluster("a", "2s"), cluster("b", "2s"), cluster("c")), 2);
    await quiet();
    expect(told(one)).toEqual(["cluster +a +b", "cluster +a"]);
  });

  test("a type that the gate has nothing of, and knows nothing of, is one as the others are", async () => {
    const { envoy } = await start();
    const one = envoy();
    one.send({ typeUrl: "type.googleapis.com/some.Thing", resourceNamesSubscribe: [] });
    await quiet();
    expect(one.received).toEqual([]);
    expect(one.status).toBeNull();
  });
});

describe("fleets", () => {
  test("an Envoy gets what is of its fleet, and what is of all unless its fleet has one of its own", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("all"), cluster("both"), cluster("both", "9s", "edge"), cluster("edge", "1s", "edge")), 1);
    const edge = envoy({ id: "e1", cluster: "edge" }).subscribe("cluster");
    const core = envoy({ id: "e2", cluster: "core" }).subscribe("cluster");
    await edge.until(() => edge.has("cluster", "all", "both", "edge"));
    await core.until(() => core.has("cluster", "all", "both"));
    expect(core.has("cluster", "edge")).toBe(false);
    expect(edge.held.cluster.get("both")).not.toBe(core.held.cluster.get("both"));
    ads.apply(set(cluster("both", "2s")), 2);
    await quiet();
    expect(told(edge)).toEqual(["cluster +all +both +edge"]);
    expect(told(core)).toEqual(["cluster +all +both", "cluster +both"]);
    ads.apply(remove(cluster("both", "", "edge")), 3);
    await edge.until(() => edge.held.cluster.get("both") === core.held.cluster.get("both"));
  });

  test.each([
    ["unauthenticated", grpc.status.UNAUTHENTICATED],
    ["denied", grpc.status.PERMISSION_DENIED],
  ] as const)("one that is %s is told so", async (refused, code) => {
    const admit: Admit = (node, peer) => ({ refused, message: `${node.id} of ${node.cluster} by ${peer.kind}` });
    const { envoy } = await start({ admit });
    const one = envoy({ cluster: "x" }).subscribe("cluster");
    await one.until(() => one.status !== null);
    expect(one.status).toMatchObject({ code, details: "e1 of x by unix" });
  });
});

describe("order", () => {
  test("what is referred to comes first, and goes last", async () => {
    const { ads, envoy } = await start();
    const all = [
      small("extension", "x"),
      small("routes", "r"),
      small("listener", "l"),
      endpoints("c", 1),
      cluster("c"),
      small("secret", "s"),
    ];
    ads.apply(set(cluster("first")), 1);
    const one = envoy().subscribe("cluster").subscribe("listener").subscribe("endpoints", "c");
    one.subscribe("extension", "x").subscribe("routes", "r").subscribe("secret", "s");
    await one.until(() => one.received.length === 5);
    one.received.length = 0;
    ads.apply(set(...all), 2);
    await one.until(() => one.received.length === 6);
    ads.apply(remove(...all), 3);
    await one.until(() => one.received.length === 12);
    expect(told(one)).toEqual([
      "secret +s",
      "cluster +c",
      "endpoints +c",
      "listener +l",
      "routes +r",
      "extension +x",
      "listener -l",
      "routes -r",
      "extension -x",
      "cluster -c",
      "endpoints -c",
      "secret -s",
    ]);
  });

  test("listeners wait until the Envoy has taken the clusters that came before, removals until it has taken all", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("old"), small("listener", "l")), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster").subscribe("listener");
    await one.until(() => one.received.length === 1);
    one.ack(one.received[0]!);
    await one.until(() => one.received.length === 2);
    one.ack(one.received[1]!);
    await quiet();
    ads.apply({ set: [cluster("new"), small("listener", "l", "changed")], removed: [cluster("old")] }, 2);
    await quiet();
    expect(told(one).slice(2)).toEqual(["cluster +new"]);
    one.ack(one.received[2]!);
    await one.until(() => one.received.length === 4);
    await quiet();
    expect(told(one).slice(3)).toEqual(["listener +l"]);
    one.ack(one.received[3]!);
    await one.until(() => one.received.length === 5);
    expect(told(one).slice(4)).toEqual(["cluster -old"]);
  });

  test("endpoints of a cluster do not wait for the other clusters of a first load", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(...Array.from({ length: 20_000 }, (_, at) => cluster(`c${at}`)), endpoints("c0", 1)), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    expect(one.received[0]!.names.length).toBeLessThan(20_000);
    one.subscribe("endpoints", "c0");
    await one.until(() => one.received.length === 2);
    expect(told(one)[1]).toBe("endpoints +c0");
  });

  test("before all sources were heard nothing goes, not even what an Envoy brings along", async () => {
    const { ads, envoy } = await start({ isSettled: false });
    ads.apply(set(cluster("a")), 1);
    const one = envoy();
    one.held.cluster.set("old", "1");
    one.subscribe("cluster").subscribe("endpoints", "none");
    await one.until(() => one.has("cluster", "a"));
    ads.apply({ set: [cluster("b")], removed: [cluster("a")] }, 2);
    await one.until(() => one.has("cluster", "b"));
    await quiet();
    expect(told(one)).toEqual(["cluster +a", "cluster +b"]);
    ads.settled();
    await one.until(() => one.received.length === 4);
    expect(told(one).slice(2).sort()).toEqual(["cluster -a -old", "endpoints -none"]);
  });
});
