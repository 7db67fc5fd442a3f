import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn, setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import grpc from "@grpc/grpc-js";
import { silentLogger as logger } from "../../../platform/logger.ts";
import { createManualClock } from "../../../store/testing/manual-clock.ts";
import { heldBytes } from "../../testing/memory.ts";
import { startGrpcServer } from "../grpc-server.ts";
import { AdsServer } from "./ads-server.ts";
import type { Admit } from "./ads-stream.ts";
import { cluster, endpoints, remove, set, small } from "./testing/resources.ts";
import { adsClient, openAdsStream, SimulatedEnvoy, type SimulatedOptions } from "./testing/simulated-envoy.ts";

const byCluster: Admit = ({ cluster: fleet }) => ({ fleet });
let scope: AsyncDisposableStack;
let folder: string;

beforeEach(async () => {
  scope = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), "tg-ads-"));
  scope.defer(() => rm(folder, { recursive: true }));
});
afterEach(() => scope.disposeAsync());

async function start(options: { readonly admit?: Admit; readonly isSettled?: boolean } = {}) {
  const { admit = byCluster, isSettled = true } = options;
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

  test("that there is nothing of all there are is said once, and not before it is known", async () => {
    const { ads, envoy } = await start({ isSettled: false });
    const one = envoy().subscribe("cluster");
    await quiet();
    expect(told(one)).toEqual([]);
    ads.settled();
    await one.until(() => one.received.length === 1);
    ads.apply(set(cluster("a")), 1);
    await one.until(() => one.has("cluster", "a"));
    expect(told(one)).toEqual(["cluster", "cluster +a"]);
    await one.until(() => ads.status().envoys.get("e1")?.applied === 1);
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
    await one.until(() => one.received.length === 6);
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

  test("listeners wait until the Envoy asks for clusters, which it does not while some are warming, but not for ever", async () => {
    const { ads, envoy, clock } = await start();
    ads.apply(set(cluster("a"), small("listener", "l")), 1);
    const one = envoy({ id: "one" }).subscribe("listener");
    const two = envoy({ id: "two" }).subscribe("listener");
    await quiet();
    expect([told(one), told(two)]).toEqual([[], []]);
    one.subscribe("cluster");
    await one.until(() => one.has("listener", "l"));
    expect(told(one)).toEqual(["cluster +a", "listener +l"]);
    clock.advance(31_000);
    await two.until(() => two.has("listener", "l"));
    expect(told(two)).toEqual(["listener +l"]);
  });

  test("an Envoy that keeps its answer on clusters until they are warm holds back nothing else for long", async () => {
    const { ads, envoy, clock } = await start();
    ads.apply(set(cluster("old"), small("listener", "l")), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster").subscribe("listener");
    await one.until(() => one.received.length === 1);
    one.ack(one.received[0]!);
    await one.until(() => one.received.length === 2);
    one.ack(one.received[1]!);
    await quiet();
    ads.apply({ set: [cluster("a"), small("listener", "l", "changed")], removed: [cluster("old")] }, 2);
    ads.apply(set(cluster("b")), 3);
    await quiet();
    expect(told(one).slice(2)).toEqual(["cluster +a", "cluster +b"]);
    clock.advance(3000);
    await one.until(() => one.received.length === 5);
    clock.advance(3000);
    await one.until(() => one.received.length === 6);
    expect(told(one).slice(4)).toEqual(["listener +l", "cluster -old"]);
  });

  test("a cluster that changes, or shares its endpoints with another, has them told again: Envoy waits and does not ask", async () => {
    const { ads, envoy } = await start();
    const shared = { ...cluster("b"), body: { ...cluster("b").body, edsClusterConfig: { serviceName: "a" } } };
    ads.apply(set(cluster("a"), shared, endpoints("a", 1)), 1);
    const one = envoy().subscribe("cluster").subscribe("endpoints", "a");
    await one.until(() => one.has("endpoints", "a") && one.has("cluster", "a", "b"));
    await quiet();
    one.received.length = 0;
    ads.apply(set(cluster("a", "2s")), 2);
    await one.until(() => one.received.length === 2);
    ads.apply(set({ ...shared, body: { ...shared.body, connectTimeout: "2s" } }), 3);
    await one.until(() => one.received.length === 4);
    ads.apply(set(cluster("c"), { ...shared, name: "d" }), 4);
    await one.until(() => one.received.length === 6);
    ads.apply(set(cluster("e")), 5);
    await quiet();
    expect(told(one).slice(0, 4)).toEqual(["cluster +a", "endpoints +a", "cluster +b", "endpoints +a"]);
    expect(told(one).slice(4)).toEqual(["cluster +c +d", "endpoints +a", "cluster +e"]);
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

describe("what an Envoy refuses", () => {
  const many = (count: number, timeout: string) => Array.from({ length: count }, (_, at) => cluster(`c${at}`, timeout));
  const refusing =
    (bad: readonly string[], message = "no good") =>
    (_: unknown, names: readonly string[]) =>
      names.some((name) => bad.includes(name)) ? message : null;

  test("one bad resource of many is found, is a problem of whose it is, and all others get through", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(...many(100, "1s")), 1);
    const bad: string[] = [];
    const one = envoy({ refuses: refusing(bad) }).subscribe("cluster");
    await one.until(() => one.held.cluster.size === 100);
    const before = new Map(one.held.cluster);
    one.received.length = 0;
    bad.push("c42");
    ads.apply(set(...many(100, "2s")), 2);
    await one.until(
      () => [...one.held.cluster].filter(([name, version]) => before.get(name) !== version).length === 99,
    );
    await quiet();
    expect(one.held.cluster.get("c42")).toBe(before.get("c42"));
    expect(one.received.length).toBeLessThan(20);
    expect(ads.status().problems).toEqual([
      {
        subject: "local/c42",
        code: "envoy_refused",
        message: "Envoy (fleet local) refuses Cluster c42, and goes on with what it had: no good",
      },
    ]);
    expect(ads.status().envoys.get("e1")).toMatchObject({ applied: 2, refused: 1 });
  });

  test("names in its reasons are tried alone, so that the others wait one round only", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(...many(10, "1s")), 1);
    const one = envoy({ refuses: refusing(["c3", "c5"], "Error adding cluster(s) c3: bad, c5: bad") }).subscribe(
      "cluster",
    );
    await one.until(() => one.received.length === 4);
    await quiet();
    expect(told(one).slice(1)).toEqual(["cluster +c0 +c1 +c2 +c4 +c6 +c7 +c8 +c9", "cluster +c5", "cluster +c3"]);
    expect(
      ads
        .status()
        .problems.map(({ subject }) => subject)
        .sort(),
    ).toEqual(["local/c3", "local/c5"]);
  });

  test("it is not told of it again until it changes; the problem stands until it takes it, and changes with what it says", async () => {
    const { ads, envoy } = await start();
    const refusal: { text: string | null } = { text: "first" };
    ads.apply(set(cluster("a")), 1);
    const one = envoy({ refuses: () => refusal.text }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    await quiet();
    ads.apply(set(cluster("a")), 2);
    await quiet();
    expect(one.received.length).toBe(1);
    refusal.text = "second";
    ads.apply(set(cluster("a", "2s")), 3);
    await quiet();
    expect(ads.status().problems.map(({ message }) => message)).toEqual([
      "Envoy (fleet local) refuses Cluster a, and goes on with what it had: second",
    ]);
    refusal.text = null;
    ads.apply(set(cluster("a", "3s")), 4);
    await one.until(() => one.has("cluster", "a"));
    await quiet();
    expect(ads.status().problems).toEqual([]);
    expect(ads.status().envoys.get("e1")?.refused).toBe(0);
  });

  test("what changed while it was refused is told, not held back", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    ads.apply(set(cluster("a", "2s")), 2);
    one.ack(one.received[0]!, "bad");
    await one.until(() => one.received.length === 2);
    one.ack(one.received[1]!);
    await quiet();
    expect(told(one)).toEqual(["cluster +a", "cluster +a"]);
    expect(ads.status().problems).toEqual([]);
    expect(ads.status().envoys.get("e1")).toMatchObject({ applied: 2 });
  });

  test("the problem ends with the resource", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy({ refuses: refusing(["a"]) }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    await quiet();
    expect(ads.status().problems).toHaveLength(1);
    ads.apply(remove(cluster("a")), 2);
    expect(ads.status().problems).toEqual([]);
  });

  test("many that refuse the same are one problem, others keep what they have, and who comes later finds out at once", async () => {
    const { ads, envoy } = await start();
    const old = ["a", "b", "c"].map((id) => envoy({ id, refuses: refusing(["c42"]) }).subscribe("cluster"));
    const young = envoy({ id: "young" }).subscribe("cluster");
    await quiet();
    ads.apply(set(...many(100, "1s")), 1);
    for (const each of old) await each.until(() => each.held.cluster.size === 99);
    await young.until(() => young.held.cluster.size === 100);
    await quiet();
    expect(ads.status().problems).toHaveLength(1);
    const late = envoy({ id: "late", refuses: refusing(["c42"]) }).subscribe("cluster");
    await late.until(() => late.held.cluster.size === 99);
    await quiet();
    expect(late.received.map(({ names }) => names.length)).toEqual([99, 1]);
    expect(ads.status().problems).toHaveLength(1);
    expect(young.has("cluster", "c42")).toBe(true);
    const refused = () => ["a", "late", "young"].map((id) => ads.status().envoys.get(id)?.refused);
    expect(refused()).toEqual([1, 1, 0]);
    ads.apply(remove(cluster("c42")), 2);
    expect(refused()).toEqual([0, 0, 0]);
  });

  test("control characters and length of what an Envoy says are bounded", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy({ refuses: () => `\u001b[31m${"x".repeat(9000)}\n` }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    await quiet();
    const [problem] = ads.status().problems;
    expect(problem?.message.length).toBeLessThan(700);
    expect(problem?.message).not.toContain("\u001b");
  });

  test("what cannot be encoded is a problem of whose it is; what was there before stays", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy().subscribe("cluster");
    await one.until(() => one.has("cluster", "a"));
    const bad = { ...cluster("a"), body: { name: "a", noSuchField: 1 } };
    ads.apply(set(bad, cluster("b")), 2);
    await one.until(() => one.has("cluster", "a", "b"));
    expect(ads.status().problems).toMatchObject([{ subject: "local/a", code: "envoy_refused" }]);
    ads.apply(set(cluster("a")), 3);
    expect(ads.status().problems).toEqual([]);
  });

  test("a port that is taken is asked for again, ever less often, until it can be had; another refusal is not", async () => {
    const { ads, envoy, clock } = await start();
    ads.apply(set(cluster("port"), cluster("bad")), 1);
    let isTaken = true;
    const refuses = (_type: unknown, names: readonly string[]) =>
      names.includes("bad") ? "bad" : isTaken ? "port: cannot bind '0.0.0.0:1': Address already in use" : null;
    const one = envoy({ refuses }).subscribe("cluster");
    await one.until(() => ads.status().problems.length === 2);
    expect(
      ads
        .status()
        .problems.map(({ code }) => code)
        .sort(),
    ).toEqual(["envoy_refused", "port_unavailable"]);
    const tries = async (seconds: number) => {
      const before = one.received.length;
      for (let second = 0; second < seconds; second += 1) {
        clock.advance(1000);
        await quiet();
      }
      return one.received.slice(before).flatMap(({ names }) => names);
    };
    expect(await tries(16), "after 1, 2, 4 and 8 s").toEqual(["port", "port", "port", "port"]);
    isTaken = false;
    expect(await tries(16)).toEqual(["port"]);
    expect(ads.status().problems.map(({ code }) => code)).toEqual(["envoy_refused"]);
  });

  test("a removal that it refuses is not repeated", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    one.ack(one.received[0]!);
    await quiet();
    ads.apply(remove(cluster("a")), 2);
    await one.until(() => one.received.length === 2);
    one.ack(one.received[1]!, "will not");
    await quiet();
    expect(told(one)).toEqual(["cluster +a", "cluster -a"]);
  });
});

describe("an Envoy that comes back", () => {
  test("gets only what differs, and what is gone is taken from it", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("same"), cluster("other"), cluster("gone"), endpoints("same", 1), endpoints("other", 1)), 1);
    const one = envoy({ followsClusters: true }).subscribe("cluster");
    await one.until(() => one.has("endpoints", "same", "other"));
    one.disconnect();
    await quiet();
    ads.apply({ set: [cluster("other", "2s"), cluster("new")], removed: [cluster("gone")] }, 2);
    one.received.length = 0;
    one.connect();
    await one.until(() => one.has("cluster", "new") && !one.has("cluster", "gone"));
    await quiet();
    expect(told(one).sort()).toEqual(["cluster +other +new", "cluster -gone", "endpoints -gone", "endpoints -new"]);
  });

  test("in the midst of a first load goes on where it was: nothing that it has taken comes again, however often it is cut", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(...Array.from({ length: 60_000 }, (_, at) => cluster(`c${at}`))), 1);
    const one = envoy().subscribe("cluster");
    for (let cuts = 1; one.held.cluster.size < 60_000; cuts += 1) {
      const had = one.received.length;
      await one.until(() => one.received.length > had);
      if (cuts > 3) continue;
      one.disconnect();
      one.connect();
    }
    await one.until(() => ads.status().envoys.get("e1")?.applied === 1);
    const names = one.received.flatMap((response) => response.names);
    expect(names.length).toBe(60_000);
    expect(new Set(names).size).toBe(60_000);
    expect(one.received.length).toBeLessThan(12);
  });

  test("to another gate that has the same gets nothing at all", async () => {
    const first = await start();
    const content = set(cluster("a"), endpoints("a", 1), small("listener", "l"));
    first.ads.apply(content, 7);
    const one = first.envoy({ followsClusters: true }).subscribe("cluster").subscribe("listener");
    await one.until(() => one.has("endpoints", "a") && one.has("listener", "l"));
    one.disconnect();
    const second = await start();
    second.ads.apply(content, 3);
    const again = second.envoy({ followsClusters: true });
    for (const type of ["cluster", "endpoints", "listener"] as const) {
      for (const [name, version] of one.held[type]) again.held[type].set(name, version);
    }
    again.subscribe("cluster").subscribe("endpoints", "a").subscribe("listener");
    await quiet();
    expect(again.received).toEqual([]);
    expect(second.ads.status().envoys.get("e1")).toMatchObject({ applied: 3 });
  });

  test("before all sources were heard, is not told again of what comes as it has it", async () => {
    const first = await start();
    first.ads.apply(set(cluster("a"), cluster("b"), cluster("c")), 1);
    const [one, other] = ["one", "other"].map((id) => first.envoy({ id }).subscribe("cluster"));
    await one!.until(() => one!.has("cluster", "a", "b", "c") && other!.has("cluster", "a", "b", "c"));
    const second = await start({ isSettled: false });
    const again = [one!, other!].map((each, at) => {
      const back = second.envoy({ id: `e${at}` });
      for (const [name, version] of each.held.cluster) back.held.cluster.set(name, version);
      if (at === 1) back.held.cluster.set("b", "another");
      return back.subscribe("cluster");
    });
    await quiet();
    second.ads.apply(set(cluster("a"), cluster("b")), 1);
    second.ads.apply(set(cluster("a")), 2);
    await quiet();
    expect(again.map(told)).toEqual([[], ["cluster +b"]]);
    second.ads.settled();
    await quiet();
    expect(again.map(told)).toEqual([["cluster -c"], ["cluster +b", "cluster -c"]]);
    second.ads.apply(set(cluster("a", "2s")), 3);
    await quiet();
    expect(told(again[0]!)).toEqual(["cluster -c", "cluster +a"]);
  });

  test("before all sources were heard, keeps what is made of all of them, and gets it whole after", async () => {
    const first = await start();
    first.ads.apply(set(small("routes", "http", "two paths"), small("routes", "other", "same")), 1);
    const one = first.envoy().subscribe("routes", "http", "other");
    await one.until(() => one.has("routes", "http", "other"));
    const second = await start({ isSettled: false });
    second.ads.apply(set(small("routes", "http", "no path yet"), small("routes", "other", "same")), 1);
    const again = second.envoy();
    for (const [name, version] of one.held.routes) again.held.routes.set(name, version);
    again.subscribe("routes", "http", "other");
    const cold = second.envoy({ id: "cold" }).subscribe("routes", "http");
    await quiet();
    second.ads.apply(set(small("routes", "http", "one path")), 2);
    await quiet();
    expect([told(again), told(cold)]).toEqual([[], ["routes +http", "routes +http"]]);
    second.ads.settled();
    await quiet();
    expect(told(again)).toEqual(["routes +http"]);
  });

  test("is told of as gone for a while; the one that a hot restart replaces, for a second", async () => {
    const { ads, envoy, clock } = await start();
    const [old, edge] = [envoy({ id: "old" }), envoy({ id: "edge", cluster: "edge" })];
    old.subscribe("cluster");
    edge.subscribe("cluster");
    envoy({ id: "new" }).subscribe("cluster");
    await quiet();
    expect([...ads.status().envoys.keys()].sort()).toEqual(["edge", "new", "old"]);
    old.disconnect();
    edge.disconnect();
    await quiet();
    expect(ads.status().envoys.get("old")).toMatchObject({ since: null, fleet: "local", version: "1.40.0" });
    clock.advance(2000);
    expect([...ads.status().envoys.keys()].sort()).toEqual(["edge", "new"]);
    clock.advance(11 * 60_000);
    expect(ads.status().envoys.has("edge")).toBe(false);
  });
});

describe("flow", () => {
  test("some responses may be unanswered; what changes beyond them comes in one, as it is then", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    for (let at = 2; at < 600; at += 1) {
      ads.apply(set(cluster("a", `${at}s`), cluster(`b${at % 3}`, `${at}s`)), at);
      await turn();
    }
    ads.apply(remove(cluster("b0")), 600);
    await quiet();
    const count = one.received.length;
    expect(count).toBeLessThanOrEqual(256);
    expect(ads.status().envoys.get("e1")?.applied).toBe(0);
    for (const each of [...one.received]) one.ack(each);
    await one.until(() => one.received.length === count + 1);
    expect(one.received[count]?.names.toSorted()).toEqual(["a", "b1", "b2"]);
    one.ack(one.received[count]!);
    await one.until(() => one.received.length === count + 2);
    expect(told(one)[count + 1]).toBe("cluster -b0");
    one.ack(one.received[count + 1]!);
    await one.until(() => ads.status().envoys.get("e1")?.applied === 600);
  });

  test("what it applied is the oldest that it has not taken, less one", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a"), small("listener", "l")), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster").subscribe("listener");
    const applied = () => ads.status().envoys.get("e1")?.applied;
    await one.until(() => one.received.length === 1);
    expect(applied()).toBe(0);
    one.ack(one.received[0]!);
    await one.until(() => one.received.length === 2);
    expect(applied()).toBe(0);
    one.ack(one.received[1]!);
    await quiet();
    expect(applied()).toBe(1);
    ads.apply({ set: [], removed: [] }, 2);
    expect(applied()).toBe(2);
    ads.apply(set(cluster("b")), 3);
    ads.apply({ set: [], removed: [] }, 4);
    await quiet();
    expect(applied()).toBe(2);
    ads.apply(set(cluster("b", "2s")), 5);
    await one.until(() => one.received.length === 4);
    expect(applied()).toBe(2);
    one.ack(one.received[2]!);
    await one.until(() => applied() === 4);
    one.ack(one.received[3]!);
    await quiet();
    expect(applied()).toBe(5);
  });

  test("answers to anything but the last response are none", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(cluster("a")), 1);
    const one = envoy({ isSilent: true }).subscribe("cluster");
    await one.until(() => one.received.length === 1);
    one.ack({ ...one.received[0]!, nonce: "77" });
    one.ack({ ...one.received[0]!, nonce: "0" }, "bad");
    await quiet();
    expect(one.received.length).toBe(1);
    expect(ads.status().envoys.get("e1")?.applied).toBe(0);
    expect(ads.status().problems).toEqual([]);
  });

  test("a large first load comes in parts of a MiB", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(...Array.from({ length: 30_000 }, (_, at) => cluster(`c${at}`))), 1);
    const one = envoy().subscribe("cluster");
    await one.until(() => one.held.cluster.size === 30_000);
    expect(one.received.length).toBeGreaterThan(2);
    expect(Math.max(...one.received.map(({ bytes }) => bytes))).toBeLessThan(1024 * 1024 + 4096);
  });

  test("a hundred Envoys, one of which reads nothing and one of which answers nothing: all others are up to date, in no more memory", async () => {
    const { ads, envoy, clock } = await start();
    ads.apply(set(...Array.from({ length: 2000 }, (_, at) => [cluster(`c${at}`), endpoints(`c${at}`, 1)]).flat()), 1);
    const well = Array.from({ length: 98 }, (_, at) =>
      envoy({ id: `well-${at}`, followsClusters: true }).subscribe("cluster"),
    );
    for (const each of well) await each.until(() => each.held.endpoints.size === 2000);
    const silent = envoy({ id: "silent", cluster: "edge", isSilent: true }).subscribe("cluster");
    const deaf = envoy({ id: "deaf" }).subscribe("cluster");
    deaf.pause();
    await quiet();
    const before = heldBytes();
    let seq = 1;
    for (; seq < 100; seq += 1) {
      ads.apply(set(...Array.from({ length: 20 }, (_, at) => endpoints(`c${(seq * 20 + at) % 2000}`, seq))), seq);
      if (seq % 10 === 0) await turn();
    }
    ads.apply(set(endpoints("c0", 9)), seq);
    await well[0]!.until(() => ads.status().envoys.get("well-0")?.applied === seq);
    for (const each of well)
      await each.until(() => each.held.endpoints.get("c0") === well[0]!.held.endpoints.get("c0"));
    await quiet();
    expect(heldBytes() - before).toBeLessThan(8 * 1024 * 1024);
    const { envoys } = ads.status();
    expect(well.filter((_, at) => envoys.get(`well-${at}`)?.applied === seq).length).toBe(98);
    expect(envoys.get("silent")).toMatchObject({ applied: 0, stuckSince: null });
    const since = clock.now();
    clock.advance(40_000);
    expect(ads.status().envoys.get("silent")).toMatchObject({ since: expect.any(Number) as number, stuckSince: since });
    clock.advance(90_000);
    await silent.until(() => silent.status !== null);
    expect(silent.status?.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    expect(ads.status().envoys.get("silent")).toMatchObject({ since: null, streams: 0 });
    expect(ads.status().envoys.get("well-0")).toMatchObject({
      since: expect.any(Number) as number,
      streams: 1,
      stuckSince: null,
    });
  });

  test("an Envoy that reads nothing is given up, and what waits for it is let go", async () => {
    const { ads, envoy, clock } = await start();
    ads.apply(set(...Array.from({ length: 30_000 }, (_, at) => cluster(`c${at}`))), 1);
    const deaf = envoy();
    deaf.pause();
    deaf.subscribe("cluster");
    await deaf.until(() => ads.status().envoys.get("e1")?.streams === 1);
    await quiet(); // it is told by and by
    clock.advance(130_000);
    expect(ads.status().envoys.get("e1")).toMatchObject({ since: null, streams: 0 });
    deaf.resume();
    await deaf.until(() => deaf.status !== null);
    expect(deaf.status?.code).not.toBe(grpc.status.OK);
  });

  test("names of resources that come and go leave nothing behind", async () => {
    const { ads, envoy } = await start();
    const one = envoy({ followsClusters: true }).subscribe("cluster");
    const round = async (at: number) => {
      const some = Array.from({ length: 500 }, (_, index) => cluster(`r${at}-${index}`));
      ads.apply(set(...some), at * 2 + 1);
      await one.until(() => one.held.cluster.size === 500);
      ads.apply(remove(...some), at * 2 + 2);
      await one.until(() => one.held.cluster.size === 0);
      await quiet();
    };
    for (let at = 0; at < 4; at += 1) await round(at);
    const before = heldBytes();
    for (let at = 4; at < 24; at += 1) await round(at);
    expect(heldBytes() - before).toBeLessThan(1024 * 1024);
  });
});

describe("what is no request", () => {
  test.each([
    ["garbage", Buffer.from([0x0a, 0xff, 0x01])],
    ["a request without a node", Buffer.from([])],
  ])("%s ends the stream with why", async (_, bytes) => {
    const { unix } = await start();
    const client = adsClient(`unix:${unix}`);
    scope.defer(() => client.close());
    const call = openAdsStream(client);
    const { promise, resolve } = Promise.withResolvers<grpc.StatusObject>();
    call
      .on("error", () => undefined)
      .on("data", () => undefined)
      .on("status", resolve);
    call.write(bytes);
    expect(await promise).toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  });

  test("types without end are too many", async () => {
    const { envoy } = await start();
    const one = envoy();
    for (let at = 0; at < 65; at += 1) one.send({ typeUrl: `type.googleapis.com/some.Thing${at}` });
    await one.until(() => one.status !== null);
    expect(one.status).toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED });
  });

  test("a gate that stops says so", async () => {
    const { ads, envoy } = await start();
    const one = envoy().subscribe("cluster");
    await quiet();
    ads[Symbol.dispose]();
    await one.until(() => one.status !== null);
    expect(one.status).toMatchObject({ code: grpc.status.UNAVAILABLE });
  });
});

test("a gate that leaves ends the streams of Envoys elsewhere, takes no new ones, and keeps those of its machine", async () => {
  const clock = createManualClock(1_000_000);
  const ads = new AdsServer({ admit: byCluster, clock, logger, changed: () => undefined });
  const unix = join(folder, "gate.sock");
  const addresses = [{ unix }, { host: "127.0.0.1", port: 0 }];
  const { ports } = scope.use(await startGrpcServer({ addresses, services: [ads.service], logger }));
  scope.use(ads);
  ads.settled();
  ads.apply(set(cluster("a")), 1);
  const open = (id: string, target: string) =>
    scope.use(new SimulatedEnvoy({ target, id }).connect()).subscribe("cluster");
  const near = open("near", `unix:${unix}`);
  await near.until(() => near.has("cluster", "a"));
  expect(ads.leave()).toBe(false);
  const late = open("late", `127.0.0.1:${String(ports[1])}`);
  await late.until(() => late.status !== null);
  expect(late.status).toMatchObject({ code: grpc.status.UNAVAILABLE, details: "the gate stops" });
  ads.apply(set(cluster("b")), 2);
  await near.until(() => near.has("cluster", "a", "b"));
});

test("an Envoy whose gate leaves is told so, and is gone", async () => {
  const ads = new AdsServer({ admit: byCluster, clock: createManualClock(0), logger, changed: () => undefined });
  const { ports } = scope.use(
    await startGrpcServer({ addresses: [{ host: "127.0.0.1", port: 0 }], services: [ads.service], logger }),
  );
  scope.use(ads);
  ads.settled();
  ads.apply(set(cluster("a")), 1);
  const envoy = scope.use(new SimulatedEnvoy({ target: `127.0.0.1:${String(ports[0])}`, id: "far" }).connect());
  await envoy.subscribe("cluster").until(() => envoy.has("cluster", "a"));
  expect(ads.leave()).toBe(true);
  await envoy.until(() => envoy.status !== null);
  expect(envoy.status?.code).toBe(grpc.status.UNAVAILABLE);
  await expect.poll(() => ads.status().envoys.get("far")?.streams).toBe(0);
});

describe("whoever waits until Envoys have taken something", () => {
  const EXTENSION = "envoy.config.core.v3.TypedExtensionConfig";

  test("waits for the answers of all who ask for it, and of nobody else", async () => {
    const { ads, envoy } = await start();
    ads.apply(set(small("extension", "known")), 1);
    const one = envoy({ id: "one" }).subscribe("extension", "known");
    const two = envoy({ id: "two", isSilent: true }).subscribe("extension", "known");
    const other = envoy({ id: "other", isSilent: true }).subscribe("cluster");
    await Promise.all([one.until(() => one.has("extension", "known")), two.until(() => two.received.length > 0)]);
    let isTaken = false;
    const taken = ads.taken(EXTENSION).then(() => (isTaken = true));
    await quiet();
    expect(isTaken).toBe(false);
    two.ack(two.received[0]!);
    await taken;
    ads.apply(set(cluster("a")), 2);
    await other.until(() => other.received.length > 0);
    await ads.taken(EXTENSION);
  });

  test("waits for nobody who goes away, or owes an answer for a second", async () => {
    const { ads, clock, envoy } = await start();
    ads.apply(set(small("extension", "known")), 1);
    const leaves = envoy({ id: "leaves", isSilent: true }).subscribe("extension", "known");
    await leaves.until(() => leaves.received.length > 0);
    const first = ads.taken(EXTENSION);
    leaves.disconnect();
    await first;
    const stays = envoy({ id: "stays", isSilent: true }).subscribe("extension", "known");
    await stays.until(() => stays.received.length > 0);
    const second = ads.taken(EXTENSION);
    clock.advance(1000);
    await second;
    await ads.taken(EXTENSION);
  });
});
