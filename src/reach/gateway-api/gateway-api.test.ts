import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Problem, SourceUpdate, Task } from "../../model/index.ts";
import { systemClock as clock } from "../../platform/clock.ts";
import { answer } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { silentLogger as logger } from "../../platform/logger.ts";
import { startEmbeddedStore } from "../../store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../../store/embedded/sole-leadership.ts";
import { describeReach } from "../reach.contract.ts";
import { gatewayApi, type GatewayApiDeps } from "./gateway-api.ts";
import { FakeGatewayCluster, GATEWAY, GATEWAYS_PATH } from "./testing/fake-gateway-cluster.ts";
import { podTask, scriptedProvider } from "./testing/scripted-provider.ts";

const WAIT = { timeout: 15_000, interval: 20 };
const BOUNDS = { pendingMs: 300, refusedMs: 150, discoverMs: 200 };

let ports = 13_000;

async function startStand(more: Partial<GatewayApiDeps["gateway"]> = {}) {
  const scope = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), "taskgate-gateway-"));
  scope.defer(() => rm(root, { recursive: true }));
  const store = scope.use(await startEmbeddedStore({ clock, logger, file: join(root, "gate.db") }));
  const cluster = scope.use(await FakeGatewayCluster.start());
  // Others of this file may still be ending.
  ports += 20;
  const range = { from: ports, to: ports + 19 };
  let listening = 0;
  return {
    cluster,
    reach: gatewayApi({
      gateway: { gateways: [GATEWAY], ports: range, listenerSets: "auto", networkPolicy: false, tls: "off", ...more },
      namespaces: [],
      cluster: () => Promise.resolve(cluster.api.cluster()),
      installation: () => Promise.resolve("abcdefghij"),
      record: { begin: () => Promise.resolve(null), cleared: () => Promise.resolve() },
      ...{ bounds: BOUNDS, clock, logger },
    }),
    context: { store, leadership: startSoleLeadership({ clock, logger, store }) },
    listen(greeting: string) {
      listening += 1;
      const ip = `10.9.0.${String(listening)}`;
      cluster.controller.greetings.set(`${ip}:80`, greeting);
      return Promise.resolve({ address: { ip, port: 80 }, pod: `pod-${String(listening)}` });
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

describeReach("gateway-api", startStand);

describe("what is not reached through a Gateway says why", () => {
  let scope: AsyncDisposableStack;
  beforeEach(() => (scope = new AsyncDisposableStack()));
  afterEach(() => scope.disposeAsync());

  const TASK = podTask("one", "team", [{ pod: "one-0", ip: "10.9.0.1", port: 80 }]);

  async function start(
    more: Partial<GatewayApiDeps["gateway"]> = {},
    prepare: (cluster: FakeGatewayCluster) => void = () => undefined,
  ) {
    const stand = scope.use(await startStand(more));
    const { cluster } = stand;
    prepare(cluster);
    const inner = scriptedProvider("far");
    const reached = stand.reach(inner, stand.context);
    let task: Task | undefined;
    let problems: readonly Problem[] = [];
    const stop = new AbortController();
    scope.use(
      await reached.start((update: SourceUpdate) => {
        if (update.kind === "stale") return;
        problems = update.problems;
        task = (update.kind === "whole" ? update.tasks : update.set).find(({ id }) => id === "one") ?? task;
      }, stop.signal),
    );
    inner.say({ kind: "whole", tasks: [TASK], problems: [] });
    const isReached = (): boolean => (task?.endpoints.web?.length ?? 0) > 0;
    const told = (code: string, message: RegExp) =>
      vi.waitFor(() => {
        expect(problems.filter((each) => each.code === code).map((each) => each.message)).toEqual(
          expect.arrayContaining([expect.stringMatching(message)]),
        );
        expect(isReached()).toBe(false);
      }, WAIT);
    const well = () =>
      vi.waitFor(() => {
        expect(isReached()).toBe(true);
        expect(problems).toEqual([]);
        expect(task?.reason).toBeUndefined();
      }, WAIT);
    return { cluster, reached, told, well, isReached, reason: () => task?.reason };
  }

  const said = (type: string, status: string, reason: string, message: string) => [{ type, status, reason, message }];

  test("a listener that its controller refuses, with the controller's own words, and is reached once it is taken", async () => {
    const { cluster, told, well, reason } = await start({}, ({ controller }) => {
      controller.script.listener = ({ name }) =>
        name === "placeholder" ? undefined : said("Accepted", "False", "UnsupportedProtocol", "no TCP here");
    });
    await told(
      "gateway_refused",
      /listener det-\d+ of Gateway gateways\/gw is not accepted: UnsupportedProtocol: no TCP here/,
    );
    expect(reason()).toMatch(/no TCP here/);
    cluster.controller.script.listener = () => undefined;
    cluster.controller.look();
    await well();
  });

  test("a route that its controller refuses", async () => {
    const { told } = await start({}, ({ controller }) => {
      controller.script.route = () => said("Accepted", "False", "NotAllowedByListeners", "not from this namespace");
    });
    await told("gateway_refused", /TCPRoute team\/taskgate-\S+ is not accepted: NotAllowedByListeners: not from/);
  });

  test("a controller that says nothing, and only after a time", async () => {
    const { cluster, told, well, reason } = await start({}, ({ controller }) => {
      controller.script.route = () => null;
      controller.script.listener = () => null;
    });
    await vi.waitFor(() => expect(reason()).toBe("it is being made reachable through the Gateway"), WAIT);
    await told("gateway_pending", /no controller has said anything of TCPRoute team/);
    cluster.controller.script.route = () => undefined;
    // As where a Gateway's status has no room for all its listeners: what is open and routed is reached.
    cluster.controller.look();
    await well();
  });

  test("an address that does not answer from here, though the controller says that all is well", async () => {
    const { cluster, told, well } = await start({}, ({ controller }) => (controller.script.listens = () => false));
    await told("gateway_unreachable", /127\.0\.0\.1:\d+ does not answer the gate: .*ECONNREFUSED.*firewall/);
    cluster.controller.script.listens = () => true;
    cluster.controller.look();
    await well();
  });

  test("a Gateway that is not there, and is reached once it is made again", async () => {
    const { cluster, told, well } = await start();
    await well();
    cluster.api.remove(GATEWAYS_PATH, GATEWAY.name);
    await told("gateway_missing", /Gateway gateways\/gw is not there/);
    cluster.makeGateway();
    await well();
  });

  test("rights that are missing, by their names", async () => {
    const forbid = (message: string) => ({ kind: "Status", code: 403, reason: "Forbidden", message });
    const { cluster, told, well } = await start({}, (stand) => {
      stand.intercept = ({ method, path }, response) => {
        if (method !== "POST" || !path.endsWith("/namespaces/team/services")) return false;
        answer(
          response,
          403,
          forbid('User "gate" cannot create resource "services" in API group "" in the namespace "team"'),
        );
        return true;
      };
    });
    await told("gateway_forbidden", /the gate may not create services in namespace team/);
    cluster.intercept = () => false;
    await well();
  });

  test("a cluster without the Gateway API, and it is reached once that is installed", async () => {
    const { cluster, told, well } = await start({}, (stand) => {
      stand.intercept = ({ path }, response) => {
        if (path !== "/apis/gateway.networking.k8s.io/v1") return false;
        answer(response, 404, { kind: "Status", code: 404 });
        return true;
      };
    });
    await told("gateway_missing", /install the Gateway API/);
    cluster.intercept = () => false;
    await well();
  });

  test("what was reached stays so while its controller is away, says otherwise in passing, or the API server is gone", async () => {
    const { cluster, well, isReached } = await start();
    await well();
    cluster.controller.script.listener = () => said("Programmed", "False", "Pending", "starting");
    cluster.controller.script.route = () => null;
    cluster.controller.look();
    cluster.intercept = (_request, response) => {
      response.destroy();
      return true;
    };
    cluster.api.endWatches("cut");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(isReached()).toBe(true);
  });

  test("a host name that leads nowhere", async () => {
    const { told } = await start({ gateways: [{ ...GATEWAY, address: "gateway.invalid" }] });
    await told("gateway_unreachable", /its address gateway\.invalid cannot be looked up/);
  });

  test("it reports what there is, and how much of it", async () => {
    const { reached, well } = await start();
    await well();
    expect(reached.report?.()).toMatchObject({
      ...{ provider: "far", reach: "gateway-api", wanted: 1, ready: 1 },
      gateways: [
        { gateway: "gateways/gw", state: "ready", listeners: { own: 1, others: 1, most: 64 }, ports: { own: 1 } },
      ],
    });
  });
});
