import { describe, expect, test } from "vitest";
import {
  tcpRoutes,
  type Condition,
  type Gateway,
  type ListenerSet,
  type TcpRoute,
} from "../../platform/kubernetes/gateway-objects.ts";
import { judge } from "./judge.ts";
import type { Held, Observed } from "./plan-input.ts";

const GATEWAY = { namespace: "gateways", name: "gw", address: "10.0.0.1" };

const condition = (type: string, status: string, more: Partial<Condition> = {}): Condition => ({
  ...{ type, status, reason: `Why${type}`, message: "so", ...more },
});

interface Said {
  readonly listener?: readonly Condition[] | null;
  readonly gateway?: readonly Condition[];
  readonly route?: readonly Condition[] | null;
  readonly generation?: number;
  readonly listenerSet?: string | null;
}

const WELL = [condition("Accepted", "True"), condition("Programmed", "True")];
const ROUTED = [condition("Accepted", "True"), condition("ResolvedRefs", "True")];

function judged({ listener = WELL, gateway = [], route = ROUTED, generation = 3, listenerSet = null }: Said) {
  const listeners = listener === null ? [] : [{ name: "det-40000", conditions: listener }];
  const status = { conditions: gateway, listeners };
  const holder: Gateway & ListenerSet = { metadata: { name: "gw", namespace: "gateways", generation }, status };
  const parentRef = { namespace: "gateways", name: listenerSet ?? "gw", sectionName: "det-40000", port: 40_000 };
  const stranger = { parentRef: { ...parentRef, name: "other" }, conditions: [condition("Accepted", "False")] };
  const tcpRoute: TcpRoute = {
    metadata: { name: "r", namespace: "team", uid: "1", generation },
    status: { parents: route === null ? [stranger] : [stranger, { parentRef, conditions: route }] },
  };
  const held = { allotment: { gateway: GATEWAY, port: 40_000, listenerSet }, route: tcpRoute } as unknown as Held;
  const observed: Observed = {
    gateways: new Map([["gateways/gw", { ...holder, ...(listenerSet === null ? {} : { status: {} }) }]]),
    listenerSets: listenerSet === null ? null : new Map([[`gateways/${listenerSet}`, holder]]),
    ...{ services: new Map(), slices: new Map(), routes: new Map(), taken: new Set() },
    ...{ controllers: new Map(), namespaces: new Map() },
    served: {
      ...{ tcpRoutes: tcpRoutes("v1"), listenerSets: null },
      ...{ gatewayListeners: { least: 1, most: 64 }, setListeners: 64 },
    },
  };
  return { verdict: judge(held, observed), without: judge({ ...held, route: null }, observed) };
}

describe("what a controller says of a listener and its route", () => {
  test("all is well, of the Gateway's own and of a ListenerSet's", () => {
    expect(judged({}).verdict).toEqual({ kind: "programmed" });
    expect(judged({ listenerSet: "set" }).verdict).toEqual({ kind: "programmed" });
  });

  test("a route that is not there, or not as it should be, is waited for", () => {
    expect(judged({}).without).toMatchObject({ kind: "pending" });
  });

  test.each([
    ["Conflicted", "True", "conflicts with another"],
    ["Accepted", "False", "is not accepted"],
    ["ResolvedRefs", "False", "refers to what is not there"],
  ])("a listener with %s %s is refused, with its reason and message", (type, status, words) => {
    const why = `listener det-40000 of Gateway gateways/gw ${words}: Why${type}: so`;
    const said = [condition(type, status), ...WELL.filter((each) => each.type !== type)];
    expect(judged({ listener: said }).verdict).toEqual({ kind: "refused", why });
  });

  test("a listener that is not programmed yet is waited for, in its controller's words", () => {
    const listener = [condition("Accepted", "True"), condition("Programmed", "False", { reason: "Pending" })];
    const why = "listener det-40000 of Gateway gateways/gw is not programmed yet: Pending: so";
    expect(judged({ listener }).verdict).toEqual({ kind: "pending", why });
  });

  test("where nothing current is said of a listener, its route alone tells", () => {
    expect(judged({ listener: null }).verdict).toMatchObject({ kind: "unsaid" });
    const old = [condition("Programmed", "False", { observedGeneration: 2 })];
    expect(judged({ listener: old }).verdict).toMatchObject({ kind: "unsaid" });
    expect(judged({ listener: null, route: null }).verdict).toMatchObject({ kind: "silent" });
  });

  test("a Gateway that is not accepted is the reason where nothing is said of the listener itself", () => {
    const gateway = [condition("Accepted", "False", { observedGeneration: 3 })];
    expect(judged({ listener: null, gateway }).verdict).toMatchObject({ kind: "refused" });
    // A neighbour spoils some controllers' word on the whole.
    expect(judged({ gateway }).verdict).toEqual({ kind: "programmed" });
    const old = [condition("Accepted", "False", { observedGeneration: 2 })];
    expect(judged({ listener: null, gateway: old }).verdict).toMatchObject({ kind: "unsaid" });
  });

  test("a route is judged by what is said of its own parent, as it is now", () => {
    const refused = [condition("Accepted", "False", { reason: "NoMatchingParent" })];
    expect(judged({ route: refused }).verdict).toEqual({
      kind: "refused",
      why: "TCPRoute team/r is not accepted: NoMatchingParent: so",
    });
    const unresolved = [condition("Accepted", "True"), condition("ResolvedRefs", "False")];
    expect(judged({ route: unresolved }).verdict).toMatchObject({ kind: "refused" });
    expect(judged({ route: null }).verdict).toMatchObject({ kind: "silent" });
    const old = [condition("Accepted", "False", { observedGeneration: 2 })];
    expect(judged({ route: old }).verdict).toMatchObject({ kind: "pending" });
    expect(judged({ route: [condition("Accepted", "True")] }).verdict).toEqual({ kind: "programmed" });
  });
});
