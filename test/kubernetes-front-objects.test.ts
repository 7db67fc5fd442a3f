import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { startFront } from "../src/app/start-front.ts";
import { FrontConfig } from "../src/config/front-config.ts";
import type { Wanted } from "../src/fronts/front.ts";
import { madeBy } from "../src/fronts/gateway-api/build-objects.ts";
import { GatewayApiFront } from "../src/fronts/gateway-api/gateway-api-front.ts";
import type { Made } from "../src/fronts/gateway-api/objects.ts";
import { systemClock as clock } from "../src/platform/clock.ts";
import { KubernetesClient } from "../src/platform/kubernetes/client.ts";
import { writtenCredentials } from "../src/platform/kubernetes/credentials.ts";
import { loadKubeconfig } from "../src/platform/kubernetes/kubeconfig.ts";
import { fixedText } from "../src/platform/kubernetes/text-source.ts";
import { silentLogger as logger } from "../src/platform/logger.ts";
import { startEmbeddedStore } from "../src/store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../src/store/embedded/sole-leadership.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { installGatewayApi } from "../testbed/kubernetes/gateway-api.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";

const WAIT = { timeout: 20_000, interval: 25 };
const SITE = { domain: "example.com", gateHost: "taskgate.example.com", pathHost: "paths.example.com" };
const SITE_WHOLE = { ...SITE, secure: true, port: 443, dial: SITE.gateHost };
const KINDS = "httproutes,grpcroutes,tlsroutes,tcproutes,listenersets,referencegrants";
const SPEC = {
  gatewayClassName: "none",
  listeners: [{ name: "https", port: 443, protocol: "HTTPS", tls: { certificateRefs: [{ name: "c" }] } }],
};

function wanted(hosts: readonly string[], ports: readonly number[], isWhole = true): Wanted {
  return {
    hosts: new Map(hosts.map((host) => [host, `a/${host}/web`])),
    ports: new Map(ports.map((port) => [port, `a/${String(port)}/raw`])),
    ...{ serverNames: new Map(), isWhole },
  };
}

/** Dies, as a gate does by kill -9, right after its write of that number. */
class DyingClient extends KubernetesClient {
  left = Infinity;

  override create(...args: Parameters<KubernetesClient["create"]>): never {
    return this.#count(super.create(...args)) as never;
  }

  override replace(...args: Parameters<KubernetesClient["replace"]>): never {
    return this.#count(super.replace(...args)) as never;
  }

  override async remove(...args: Parameters<KubernetesClient["remove"]>): Promise<boolean> {
    return await this.#count(super.remove(...args));
  }

  async #count<T>(write: Promise<T>): Promise<T> {
    if (this.left <= 0) return new Promise<never>(() => undefined);
    const done = await write;
    this.left -= 1;
    return this.left > 0 ? done : new Promise<never>(() => undefined);
  }
}

/** A real API server with the Gateway API's resources, and no controller. */
describe.skipIf(NO_OWN_CLUSTER !== null)("what a front makes, on a real API server", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await ownCluster("v", { kind: "api" });
    await installGatewayApi(cluster);
    for (const namespace of ["ingress", "gates"]) await cluster.kubectl(["create", "namespace", namespace]);
  }, 180_000);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    await cluster.kubectl(["delete", "gateways,services", "--all", "-n", "ingress"]);
    await cluster.kubectl(["delete", `${KINDS},services`, "--all", "-n", "gates"]);
    await cluster.apply([
      { apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway", metadata: { name: "g", namespace: "ingress" }, spec: SPEC }, // prettier-ignore
      {
        ...{ apiVersion: "v1", kind: "Service", metadata: { name: "taskgate", namespace: "gates" } },
        spec: { ports: [{ port: 80 }] },
      },
    ]);
  });

  const configOf = (more: object): FrontConfig =>
    FrontConfig.parse({
      ...{ type: "gateway-api", gateway: { name: "g", namespace: "ingress" }, listeners: { https: "https" } },
      ...{ service: { name: "taskgate", namespace: "gates", port: 80 }, tcp: "listeners", ...more },
    });

  interface Running extends AsyncDisposable {
    readonly front: GatewayApiFront;
    readonly client: DyingClient;
    /** Of its lead. */
    readonly over: Promise<void>;
  }

  async function start(
    more: object = {},
    {
      mark = "abcdefghij-front",
      clean,
      left = Infinity,
    }: { mark?: string; clean?: readonly Made[]; left?: number } = {},
  ): Promise<Running> {
    const client = new DyingClient({ cluster: await loadKubeconfig([cluster.kubeconfig], null, clock), clock });
    client.left = left;
    const front = new GatewayApiFront({
      ...{ config: configOf(more), site: SITE, mark, client: () => Promise.resolve(client), changed: () => undefined },
      ...{ clock, logger, ...(clean !== undefined && { clean }) },
    });
    const stop = new AbortController();
    const over = front.lead(stop.signal);
    return {
      ...{ front, client, over },
      async [Symbol.asyncDispose]() {
        stop.abort();
        // One that has died never ends.
        if (client.left > 0) await over;
        await front[Symbol.asyncDispose]();
        client[Symbol.dispose]();
      },
    };
  }

  async function names(): Promise<readonly string[]> {
    const made = await cluster.kubectl(["get", KINDS, "-n", "gates", "-o", "name"]);
    const own = made.split("\n").filter((name) => name !== "");
    return own.map((name) => name.replace(/^(\w+)\.\S*?-front-/, "$1 ").replace(/^\w+ /, "")).sort();
  }

  async function listeners(): Promise<readonly string[]> {
    const path = "jsonpath={.spec.listeners[*].name}";
    return (await cluster.kubectl(["get", "gateway/g", "-n", "ingress", "-o", path])).split(" ");
  }

  async function expectMade(made: readonly string[], ports: readonly string[]): Promise<void> {
    await vi.waitFor(async () => expect([await names(), await listeners()]).toEqual([made, ["https", ...ports]]), WAIT);
  }

  const ALL = ["http", "http-f41664dd3f3f504d", "tcp-20000", "tcp-20001"];
  const PORTS = ["taskgate-20000", "taskgate-20001"];

  test("is finished by the next gate, after whichever write one was killed", async () => {
    for (let left = 1; ; left += 1) {
      await using killed = await start({}, { left });
      killed.front.publish(wanted(["nb.elsewhere.net"], [20_000, 20_001]));
      await Promise.race([vi.waitFor(() => expect(killed.client.left).toBe(0), WAIT), expectMade(ALL, PORTS)]);
      if (killed.client.left > 0) break;
      await using next = await start();
      next.front.publish(wanted(["nb.elsewhere.net"], [20_000, 20_001]));
      await expectMade(ALL, PORTS);
      next.front.publish(wanted([], []));
      await expectMade(["http"], []);
      expect(left).toBeLessThan(20);
    }
  }, 120_000);

  test("goes, whichever write it was killed after, and once there is no front any more", async () => {
    for (let left = 1; left <= 5; left += 1) {
      await using maker = await start();
      maker.front.publish(wanted(["nb.elsewhere.net"], [20_000, 20_001]));
      await expectMade(ALL, PORTS);
      await maker[Symbol.asyncDispose]();
      await using killed = await start({}, { clean: madeBy(configOf({})), left });
      await Promise.race([killed.over, vi.waitFor(() => expect(killed.client.left).toBe(0), WAIT)]);
      await using next = await start({}, { clean: madeBy(configOf({})) });
      await next.over;
      await expectMade([], []);
    }
  }, 120_000);

  test("is put right where somebody changed it, and made again where somebody took it away", async () => {
    await using running = await start();
    running.front.publish(wanted([], [20_000]));
    await expectMade(["http", "tcp-20000"], ["taskgate-20000"]);
    const route = "httproute/taskgate-abcdefghij-front-http";
    const patch = ["--type", "merge", "-p", JSON.stringify({ spec: { hostnames: ["evil.example.com"] } })];
    await cluster.kubectl(["patch", route, "-n", "gates", ...patch]);
    const hosts = ["get", route, "-n", "gates", "-o", "jsonpath={.spec.hostnames}"];
    await vi.waitFor(async () => expect(await cluster.kubectl(hosts)).toBe('["*.example.com"]'), WAIT);
    await cluster.kubectl(["delete", route, "tcproute/taskgate-abcdefghij-front-tcp-20000", "-n", "gates"]);
    await cluster.apply([
      { apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway", metadata: { name: "g", namespace: "ingress" }, spec: SPEC }, // prettier-ignore
    ]);
    await expectMade(["http", "tcp-20000"], ["taskgate-20000"]);
  });

  test("leaves alone what another installation made, on the same Gateway", async () => {
    await using mine = await start();
    await using theirs = await start({}, { mark: "klmnopqrst-front" });
    mine.front.publish(wanted([], [20_000]));
    theirs.front.publish(wanted([], [20_001]));
    const all = [
      ["http", "http", "tcp-20000", "tcp-20001"],
      ["https", ...PORTS],
    ];
    // Either may be first.
    await vi.waitFor(async () => expect([await names(), (await listeners()).toSorted()]).toEqual(all), WAIT);
    mine.front.publish(wanted([], []));
    await expectMade(["http", "http", "tcp-20001"], ["taskgate-20001"]);
  });

  test("keeps what was made while something was not heard of yet", async () => {
    await using before = await start();
    before.front.publish(wanted(["nb.elsewhere.net"], [20_000, 20_001]));
    await expectMade(ALL, PORTS);
    await before[Symbol.asyncDispose]();
    await using after = await start();
    after.front.publish(wanted([], [20_002], false));
    await expectMade([...ALL, "tcp-20002"], [...PORTS, "taskgate-20002"]);
    after.front.publish(wanted([], [20_002]));
    await expectMade(["http", "tcp-20002"], ["taskgate-20002"]);
  });

  test("moves with its Gateway: what comes in goes on, and nothing is left at the former one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "taskgate-front-"));
    await using scope = new AsyncDisposableStack();
    scope.defer(() => rm(folder, { recursive: true }));
    const store = scope.use(await startEmbeddedStore({ file: join(folder, "gate.db"), clock, logger }));
    const copy = join(folder, "kubeconfig");
    await copyFile(cluster.kubeconfig, copy);
    await cluster.apply([
      { apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway", metadata: { name: "h", namespace: "ingress" }, spec: SPEC }, // prettier-ignore
    ]);
    const run = async (more: object, done: () => Promise<void>): Promise<void> => {
      const leadership = startSoleLeadership({ store, clock, logger });
      const config = { front: configOf({ tcp: "off", ...more }) };
      const directory = { planeChanged: () => undefined };
      await using front = await startFront({ config, site: SITE_WHOLE, store, leadership, directory, clock, logger });
      front.published({ diff: { routes: { set: [], removed: [] } } as never }, true);
      await vi.waitFor(done, WAIT);
    };
    const routes = (): Promise<string> =>
      cluster.kubectl(["get", "httproutes", "-n", "gates", "-o", "jsonpath={.items[*].metadata.uid} {.items[*].spec.parentRefs[*].name}"]); // prettier-ignore
    const recorded = async (): Promise<unknown> => (await store.get("front", "made"))?.value;
    await run({ kubeconfig: cluster.kubeconfig }, async () => expect(await routes()).toMatch(/ g$/));
    const [uid = ""] = (await routes()).split(" ");
    const next = { kubeconfig: copy, gateway: { name: "h", namespace: "ingress" } };
    await run(next, async () => {
      expect(await routes()).toBe(`${uid} h`);
      expect(await recorded()).toMatchObject([{ kubeconfig: copy }]);
    });
    expect(await routes()).toBe(`${uid} h`);
  });

  test("goes with the Service, which it belongs to", async () => {
    await using running = await start({ tcp: "off" });
    running.front.publish(wanted([], []));
    await vi.waitFor(async () => {
      const path = "jsonpath={.metadata.ownerReferences[*].name}";
      const owner = await cluster.kubectl(["get", "httproute", "-n", "gates", "-o", path.replace("{", "{.items[0]")]);
      expect(owner).toBe("taskgate");
    }, WAIT);
  });

  test("says which right is missing, and goes on once there is one", async () => {
    await cluster.kubectl(["create", "serviceaccount", "gate", "-n", "gates"]);
    const token = (await cluster.kubectl(["create", "token", "gate", "-n", "gates"])).trim();
    const known = await loadKubeconfig([cluster.kubeconfig], null, clock);
    const credentials = writtenCredentials({ token: fixedText(token) });
    const client = new KubernetesClient({ cluster: { ...known, credentials }, clock });
    const front = new GatewayApiFront({
      ...{ config: configOf({}), site: SITE, mark: "abcdefghij-front", client: () => Promise.resolve(client) },
      ...{ changed: () => undefined, clock, logger },
    });
    const stop = new AbortController();
    const over = front.lead(stop.signal);
    front.publish(wanted([], []));
    await vi.waitFor(() => {
      expect(front.problems).toContainEqual(expect.objectContaining({ code: "front_unavailable", subject: "front" }));
      expect(JSON.stringify(front.problems)).toMatch(/cannot list resource/);
    }, WAIT);
    const right = ["--clusterrole=cluster-admin", "--serviceaccount=gates:gate"];
    await cluster.kubectl(["create", "clusterrolebinding", "front", ...right]);
    await vi.waitFor(() => expect(front.problems).toEqual([]), { timeout: 40_000, interval: 100 });
    await expectMade(["http"], []);
    stop.abort();
    await over;
    await front[Symbol.asyncDispose]();
    client[Symbol.dispose]();
  });
});
