import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Instance } from "../dataplanes/dataplane.ts";
import type { GatewayReport, ReachReport, SourceState } from "../model/index.ts";
import { Exposition } from "./exposition.ts";

/** How the gate itself is, as it is when it is asked. */
export interface GateFigures {
  /** By provider. */
  readonly sources: ReadonlyMap<string, SourceState>;
  /** Of Envoys that there may be. */
  readonly fleets: readonly string[];
  /** What serves, by name: Envoys have `proxy`. */
  readonly instances: ReadonlyMap<string, Instance>;
  /** `seq` of the newest table. */
  readonly revision: number;
  /** By name: whether this gate leads in it. */
  readonly leading: ReadonlyMap<string, boolean>;
  readonly reaches: readonly ReachReport[];
}

/** Sources, Envoys, reaches and what is led, as metrics. `now` is epoch ms. */
export function gateText({ sources, fleets, instances, revision, leading, reaches }: GateFigures, now: number): string {
  const out = new Exposition();
  for (const [source, { state }] of sources) out.add("taskgate_source_ready", { source }, state === "ready" ? 1 : 0);
  for (const [source, state] of sources) {
    const age = state.state === "stale" ? Math.max(0, now - state.since) / 1000 : 0;
    out.add("taskgate_source_stale_seconds", { source }, age);
  }
  for (const [name, leads] of leading) out.add("taskgate_leading", { name }, leads ? 1 : 0);
  const envoys = [...instances.values()].filter(({ proxy }) => proxy !== undefined);
  // One that has nobody says so: what is not there raises no alarm.
  const each = fleets.map((fleet) => {
    const all = envoys.filter(({ proxy }) => proxy?.fleet === fleet);
    return { fleet, all, here: all.filter(({ connected }) => connected) };
  });
  addEnvoys(out, each, revision);
  addReaches(out, reaches);
  return out.text;
}

interface Fleet {
  readonly fleet: string;
  readonly all: readonly Instance[];
  readonly here: readonly Instance[];
}

function addEnvoys(out: Exposition, each: readonly Fleet[], revision: number): void {
  for (const { fleet, here } of each) out.add("taskgate_envoys_connected", { fleet }, here.length);
  for (const { fleet, all, here } of each) out.add("taskgate_envoys_away", { fleet }, all.length - here.length);
  for (const { fleet, here } of each) {
    const stuck = here.filter(({ proxy }) => (proxy?.stuckSince ?? null) !== null);
    out.add("taskgate_envoys_stuck", { fleet }, stuck.length);
  }
  for (const { fleet, here } of each) {
    const behind = here.map(({ applied }) => revision - Math.max(0, applied));
    out.add("taskgate_envoys_behind", { fleet }, Math.max(0, ...behind));
  }
  for (const { fleet, here } of each) {
    const refused = here.reduce((sum, { proxy }) => sum + (proxy?.refused ?? 0), 0);
    out.add("taskgate_envoys_refused", { fleet }, refused);
  }
}

function addReaches(out: Exposition, reaches: readonly ReachReport[]): void {
  for (const { provider, wanted, ready } of reaches) {
    out.add("taskgate_reach_units", { provider, state: "ready" }, ready);
    out.add("taskgate_reach_units", { provider, state: "waiting" }, wanted - ready);
  }
  const gateways = reaches.flatMap(({ provider, gateways: all }) => all.map((each) => ({ provider, each })));
  for (const { provider, each } of gateways) addGateway(out, { provider, gateway: each.gateway }, each);
}

function addGateway(out: Exposition, labels: Readonly<Record<string, string>>, gateway: GatewayReport): void {
  const { state, listeners, listenerSets, ports, room } = gateway;
  out.add("taskgate_reach_gateway_ready", labels, state === "ready" ? 1 : 0);
  out.add("taskgate_reach_room", labels, room);
  for (const holder of ["own", "others"] as const) {
    out.add("taskgate_reach_listeners", { ...labels, holder }, listeners[holder] + (listenerSets?.[holder] ?? 0));
    out.add("taskgate_reach_ports", { ...labels, holder }, ports[holder]);
  }
  out.add("taskgate_reach_listeners_most", labels, listeners.most);
}

const NS_PER_S = 1e9;
const MICROS_PER_S = 1e6;
/** How often the event loop's delay is looked at. */
const LOOK_MS = 20;

/** The gate's process as metrics, by the names that Prometheus' own libraries have for them. Disposing ends the looking. */
export class ProcessMetrics implements Disposable {
  readonly #delay = monitorEventLoopDelay({ resolution: LOOK_MS });

  constructor() {
    this.#delay.enable();
  }

  /** The delay is of the time since the last call. */
  text(): string {
    const out = new Exposition();
    const { user, system } = process.cpuUsage();
    out.add("process_cpu_seconds_total", {}, (user + system) / MICROS_PER_S);
    out.add("process_resident_memory_bytes", {}, process.memoryUsage.rss());
    out.add("process_start_time_seconds", {}, Math.round(Date.now() / 1000 - process.uptime()));
    // What is measured is from one look to the next.
    const late = Math.max(0, this.#delay.percentile(99) / NS_PER_S - LOOK_MS / 1000);
    out.add("nodejs_eventloop_lag_p99_seconds", {}, late);
    this.#delay.reset();
    return out.text;
  }

  [Symbol.dispose](): void {
    this.#delay.disable();
  }
}
