import { once } from "node:events";
import { createServer, type AddressInfo, type Server } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { tcpRoutes, type Condition, type TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import type { Held, Observed } from "./plan-input.ts";
import { Probes } from "./probe.ts";
import { PortMemory } from "./ports.ts";
import { Readiness, type Looked } from "./readiness.ts";
import { Addresses } from "./resolve.ts";
import type { Unit } from "./unit.ts";

const BOUNDS = { pendingMs: 10_000, refusedMs: 3000, retargetMs: 1000 };
const GATEWAY = { namespace: "gateways", name: "gw", address: "127.0.0.1" };

let scope: AsyncDisposableStack;
let now: number;
let port: number;
let server: Server;
let readiness: Readiness;
beforeEach(async () => {
  scope = new AsyncDisposableStack();
  now = 1000;
  server = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
  scope.use(server);
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
  const clock = { now: () => now, after: systemClock.after.bind(systemClock) };
  const changed = (): void => undefined;
  const addresses = scope.use(new Addresses({ names: [GATEWAY.address], changed, clock }));
  const probes = scope.use(new Probes({ changed, clock }));
  readiness = new Readiness({ addresses, probes, clock, bounds: BOUNDS });
});
afterEach(() => scope.disposeAsync());

interface Case {
  readonly route?: Condition | null;
  readonly ip?: string;
  readonly opens?: boolean;
}

function unitAt(ip: string): Unit {
  const of = { task: "one", service: "web", replica: "0", namespace: "team" };
  return { id: "one/web/0", ...of, port: 80, objectName: "a", backing: { by: "pod", pod: "p", ip } };
}

function look({ route = condition("True"), ip = "10.9.0.1", opens = false }: Case = {}): ReturnType<Readiness["look"]> {
  const unit = unitAt(ip);
  const parentRef = { namespace: GATEWAY.namespace, name: GATEWAY.name, port };
  const tcpRoute: TcpRoute = {
    metadata: { name: "a", namespace: "team", uid: "u1" },
    status: { parents: route === null ? [] : [{ parentRef, conditions: [route] }] },
  };
  const held: Held = { unit, allotment: { gateway: GATEWAY, port, listenerSet: null }, route: tcpRoute };
  const listener = { name: `det-${String(port)}`, conditions: [{ type: "Programmed", status: "True" }] };
  const gateway = { metadata: { name: "gw", namespace: "gateways" }, status: { listeners: [listener] } };
  const looked: Looked = {
    units: new Map([[unit.id, unit]]),
    observed: { ...observedNothing(), gateways: new Map([["gateways/gw", gateway]]) },
    plan: { held: new Map([[unit.id, held]]), refused: new Map() },
    notTaken: new Map(),
    tellsByOpening: () => opens,
  };
  return readiness.look(looked);
}

function condition(status: string): Condition {
  return { type: "Accepted", status, reason: "Said", message: "so" };
}

function observedNothing(): Observed {
  const none = new Map<string, never>();
  const bounds = { gatewayListeners: { least: 1, most: 64 }, setListeners: 64 };
  return {
    ...{ gateways: none, listenerSets: null, services: none, slices: none, routes: none },
    ...{ taken: new Set(), controllers: none, namespaces: none },
    served: { tcpRoutes: tcpRoutes("v1"), listenerSets: null, ...bounds },
  };
}

const isReached = (): boolean => readiness.addressOf("one/web/0") !== null;
const reached = (options: Case = {}): Promise<void> =>
  vi.waitFor(() => {
    look(options);
    expect(readiness.addressOf("one/web/0")).toEqual({ ip: "127.0.0.1", port });
  });
const codes = (): readonly string[] => readiness.problems("far").map(({ code, subject }) => `${subject} ${code}`);

test("a port that does not open is told of with its remedy, and with what its proxy may have there", async () => {
  // The system chose it, from those of outgoing connections.
  await server[Symbol.asyncDispose]();
  await vi.waitFor(() => {
    look();
    now += BOUNDS.pendingMs;
    expect(readiness.problems("far")).toMatchObject([
      {
        subject: "far/one",
        code: "gateway_unreachable",
        message: expect.stringMatching(/ECONNREFUSED.*firewall.*gateway_ephemeral_ports/) as string,
      },
    ]);
  });
});

test("a controller that says nothing of a route is waited for, unless that its port opens says enough", async () => {
  expect(look({ route: null })).toMatchObject({ again: 11_000, isAsking: false });
  now = 11_000;
  look({ route: null });
  expect(isReached()).toBe(false);
  expect(codes()).toEqual(["far/one gateway_pending"]);
  await reached({ route: null, opens: true });
  expect(codes()).toEqual([]);
  expect(readiness.ready).toBe(1);
});

test("what was reached is withdrawn once it has been refused for a time, and not in passing", async () => {
  await reached();
  look({ route: condition("False") });
  expect(isReached()).toBe(true);
  now += 2900;
  look({ route: null });
  expect(isReached()).toBe(true);
  now += 2900;
  expect(look({ route: condition("False") }).again).toBe(now + 3000);
  now += 3000;
  expect([...look({ route: condition("False") }).changed]).toEqual(["one"]);
  expect(isReached()).toBe(false);
  expect(codes()).toEqual(["far/one gateway_refused"]);
  expect(readiness.reasonOf(["one/web/0"])).toContain("Said: so");
  await reached();
});

test("nothing is published at a listener that is led to another pod, for as long as it may lead to the one that was", async () => {
  await reached();
  expect(look({ ip: "10.9.0.2" }).again).toBe(now + 1000);
  expect(isReached()).toBe(false);
  now += 1000;
  await reached({ ip: "10.9.0.2" });
});

test("a port is fresh once a minute has passed in which nobody else gave it up", () => {
  const memory = new PortMemory();
  const withPorts = (...ports: readonly number[]): Observed => {
    const listeners = ports.map((each) => ({ name: `l${String(each)}`, port: each, protocol: "TCP" }));
    const gateway = { metadata: { name: "gw", namespace: "gateways" }, spec: { listeners } };
    return { ...observedNothing(), gateways: new Map([["gateways/gw", gateway]]) };
  };
  memory.see(withPorts(1, 2), 0);
  expect(memory.isFresh("gateways/gw", 3, 59_999)).toBe(false);
  memory.see(withPorts(2), 60_000);
  expect(memory.isFresh("gateways/gw", 3, 60_000)).toBe(true);
  memory.see(withPorts(1, 2), 61_000);
  expect(memory.isFresh("gateways/gw", 1, 61_000)).toBe(false);
  memory.see(withPorts(1, 2, 3), 120_001);
  expect(memory.isFresh("gateways/gw", 1, 120_001)).toBe(true);
});
