import { expect, test } from "vitest";
import type { ReachAdvice } from "../../model/index.ts";
import { adviseOnPorts } from "./ephemeral-ports.ts";
import { gateway, podUnit } from "./testing/make-units.ts";
import { ModelCluster } from "./testing/model-cluster.ts";
import { ModelGate } from "./testing/model-gate.ts";

const CONTOUR = "projectcontour.io/gateway-controller";

function stand(ports: { readonly from: number; readonly to: number }, controller?: string): ModelGate {
  const gate = new ModelGate(new ModelCluster(), { ports });
  gate.cluster.put("Gateway", gateway());
  if (controller !== undefined) gate.cluster.controller = controller;
  return gate;
}

function portsOf(gate: ModelGate): readonly number[] {
  const { held } = gate.plan();
  return [...held.keys()].sort().map((id) => held.get(id)?.allotment.port ?? 0);
}

function advice({ cluster, settings }: ModelGate): readonly ReachAdvice[] {
  return adviseOnPorts({ settings, observed: cluster.observe(settings.mark, ["gw/main"]) });
}

test("ports that no connection of a proxy's can be in the way of come first, then the others, and that is said", () => {
  const gate = stand({ from: 60_998, to: 61_001 });
  gate.want(podUnit("a"), podUnit("b")).settle();
  expect(portsOf(gate)).toEqual([61_000, 61_001]);
  expect(advice(gate)).toEqual([]);
  gate.want(podUnit("a"), podUnit("b"), podUnit("c")).settle();
  expect(portsOf(gate)).toEqual([61_000, 61_001, 60_998]);
  expect(advice(gate)).toEqual([
    {
      level: "warn",
      code: "gateway_ephemeral_ports",
      message:
        "ports 60998 of Gateway gw/main are ones that its proxies' own connections may have (Linux takes theirs from 32768-60999): where a proxy has one, it cannot listen, and the service is reached later, at another port",
      remedy:
        "let the range of ports have more of 1025-32767 or 61000-65535; or set net.ipv4.ip_local_reserved_ports, or ip_local_port_range, in the pods of the Gateway",
    },
  ]);
});

test("of a range that has no others it is said beforehand", () => {
  const [one] = advice(stand({ from: 40_000, to: 41_000 }));
  expect(one?.message).toMatch(/^all ports of 40000-41000 of Gateway gw\/main are ones/);
});

test("what counts is where the proxy listens: Contour's at another port", () => {
  const gate = stand({ from: 52_998, to: 53_001 }, CONTOUR);
  gate.want(podUnit("a"), podUnit("b")).settle();
  expect(portsOf(gate)).toEqual([53_000, 53_001]);
  expect(advice(gate)).toEqual([]);
  const low = stand({ from: 24_768, to: 24_800 }, CONTOUR);
  expect(advice(low)).toMatchObject([
    { remedy: expect.stringContaining("more of 1025-24767 or 53000-65535;") as string },
  ]);
});

test("a port that was somebody else's a moment ago comes last, even where all others are such", () => {
  const gate = stand({ from: 60_999, to: 61_000 });
  gate.want(podUnit("a")).settle();
  gate.want().settle();
  gate.want(podUnit("b")).settle();
  expect(portsOf(gate)).toEqual([60_999]);
});

test("a port that the proxy cannot listen on is given up for another, and not taken again for a minute", () => {
  const gate = stand({ from: 40_000, to: 40_010 });
  gate.want(podUnit("a"), podUnit("b")).settle();
  expect(portsOf(gate)).toEqual([40_000, 40_001]);
  gate.block(40_000);
  gate.settle();
  expect(portsOf(gate)).toEqual([40_002, 40_001]);
  expect(gate.cluster.gateways.get("gw/main")?.spec?.listeners?.map(({ port }) => port)).toEqual([
    1024, 40_001, 40_002,
  ]);
  gate.want(podUnit("a"), podUnit("b"), podUnit("c")).settle();
  expect(portsOf(gate)).toEqual([40_002, 40_001, 40_003]);
  gate.now += 120_000;
  gate.plan();
  gate.now += 60_000;
  gate.want(podUnit("a"), podUnit("b"), podUnit("c"), podUnit("d")).settle();
  expect(portsOf(gate)).toEqual([40_002, 40_001, 40_003, 40_000]);
});
