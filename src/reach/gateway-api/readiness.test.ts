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
/** Ports. */
let blocked: number[];
beforeEach(async () => {
  scope = new AsyncDisposableStack();
  blocked = [];
  now = 1000;
  server = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
  scope.use(server);
  await once(server, "listening");
  ({ port } = server.address() as AddressInfo);
  const clock = { now: () => now, after: systemClock.after.bind(systemClock) };
  const changed = (): void => undefined;
  const addresses = scope.use(new Addresses({ names: [GATEWAY.address], changed, clock }));
  const probes = scope.use(new Probes({ changed, clock }));
  readiness = new Readiness({
    addresses,
    probes,
    clock,
    bounds: BOUNDS,
    blocked: (allotment) => blocked.push(allotment.port),
  });
});
afterEach(() => scope.disposeAsync());

interface Case {
  readonly route?: Condition | null;
  readonly ip?: string;
  readonly opens?: boolean;
  /** Port of another unit. */
  readonly neighbour?: number;
}

function unitAt(ip: string, task = "one"): Unit {
  const of = { task, service: "web", replica: "0", namespace: "team" };
  return { id: `${task}/web/0`, ...of, port: 80, objectName: "a", backing: { by: "pod", pod: "p", ip } };
}

function look({ ip = "10.9.0.1", opens = false, neighbour, ...more }: Case = {}): ReturnType<Readiness["look"]> {
  const others = neighbour === undefined ? [] : [heldBy(unitAt(ip, "two"), neighbour)];
  const all = [heldBy(unitAt(ip), port, more.route), ...others];
  const programmed = { conditions: [{ type: "Programmed", status: "True" }] };
  const listeners = all.map(({ allotment }) => ({ name: `det-${String(allotment.port)}`, ...programmed }));
  const gateway = { metadata: { name: "gw", namespace: "gateways" }, status: { listeners } };
  const looked: Looked = {
    units: new Map(all.map(({ unit }) => [unit.id, unit])),
    observed: { ...observedNothing(), gateways: new Map([["gateways/gw", gateway]]) },
    plan: { held: new Map(all.map((held) => [held.unit.id, held])), refused: new Map() },
    notTaken: new Map(),
    tellsByOpening: () => opens,
  };
  return readiness.look(looked);
}

function heldBy(unit: Unit, at: number, route: Condition | null = condition("True")): Held {
  const parentRef = { namespace: GATEWAY.namespace, name: GATEWAY.name, port: at };
  const tcpRoute: TcpRoute = {
    metadata: { name: unit.task, namespace: "team", uid: unit.task },
    status: { parents: route === null ? [] : [{ parentRef, conditions: [route] }] },
  };
  return { unit, allotment: { gateway: GATEWAY, port: at, listenerSet: null }, route: tcpRoute };
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

test("a port that its proxy may have a connection at is given up once it has not opened for so long, where others are reached", async () => {
  await server[Symbol.asyncDispose]();
  await vi.waitFor(() => {
    look();
    now += BOUNDS.pendingMs;
    expect(codes()).toEqual(["far/one gateway_unreachable"]);
  });
  now += BOUNDS.pendingMs;
  look();
  expect(blocked).toEqual([]);
  const other = createServer((socket) => socket.on("error", () => undefined).resume()).listen(0, "127.0.0.1");
  scope.use(other);
  await once(other, "listening");
  const { port: neighbour } = other.address() as AddressInfo;
  await vi.waitFor(() => {
    look({ neighbour });
    expect(readiness.ready).toBe(1);
  });
  look({ neighbour });
  expect(new Set(blocked)).toEqual(new Set([port]));
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
