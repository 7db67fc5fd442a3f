import { plan } from "../src/reach/gateway-api/plan.ts";
import { PortMemory } from "../src/reach/gateway-api/ports.ts";
import { gateway, podUnit } from "../src/reach/gateway-api/testing/make-units.ts";
import { ModelCluster } from "../src/reach/gateway-api/testing/model-cluster.ts";
import { ModelGate } from "../src/reach/gateway-api/testing/model-gate.ts";
import { median, quantile, type Row, type Suite } from "./suite.ts";

const SIZES = [1000, 10_000];
const CHANGES = 100;
const WARM_UP = 50;

/** What one look at a cluster takes a reach through Gateways, of so many units of which one is new and one is gone; without any I/O. */
export const benchPlan: Suite = (say, { rounds = CHANGES }) =>
  SIZES.flatMap((size) => {
    say(`${String(size)} units that are reached, then ${String(rounds)} looks of one change each …`);
    return measure(size, rounds);
  });

function measure(size: number, rounds: number): readonly Row[] {
  const gate = new ModelGate(new ModelCluster());
  gate.cluster.put("Gateway", gateway());
  const units = Array.from({ length: size }, (_none, at) => podUnit(`t${String(at)}`));
  gate.want(...units).settle();
  const { settings } = gate;
  const observed = gate.cluster.observe(settings.mark);
  const look = (at: number): number => {
    const changed = units.with(at % size, podUnit(`new-${String(at)}`));
    const byId = new Map(changed.map((unit) => [unit.id, unit]));
    const before = process.cpuUsage();
    plan({ settings, observed, units: byId, isWhole: true, ports: new PortMemory() });
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  for (let at = 0; at < WARM_UP; at += 1) look(at);
  const each = Array.from({ length: rounds }, (_none, at) => look(at));
  const of = (name: string, value: number): Row => ({ name: `${String(size)} units, ${name}`, value, unit: "ms", ratio: null }); // prettier-ignore
  return [of("a change, processor p50", median(each)), of("a change, processor p99", quantile(each, 0.99))];
}
