import { setTimeout as pause } from "node:timers/promises";
import { createTableState } from "../../src/core/create-table-state.ts";
import { change, makeEndpoint, makeTask, OPTIONS } from "../../src/core/testing/make.ts";
import { AccessLogConfig, LimitsConfig, TracingConfig } from "../../src/config/schema.ts";
import { type CertificateSource, type EnvoyPlane, startEnvoyPlane } from "../../src/dataplanes/envoy/plane.ts";
import { NO_LOCAL_ENVOY } from "../../src/dataplanes/envoy/testing/no-local-envoy.ts";
import { NOBODY_VERIFIED } from "../../src/dataplanes/envoy/testing/start-envoy-plane.ts";
import { selfSigned } from "../../src/dataplanes/testing/self-signed.ts";
import { TestGatekeeper } from "../../src/dataplanes/testing/test-gatekeeper.ts";
import type { Task, TableDiff } from "../../src/model/index.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { garbageCollector } from "../../src/platform/garbage-collector.ts";
import { silentLogger } from "../../src/platform/logger.ts";

/**
 * A process that is a gate as far as Envoys are told of its services: the table, made of tasks by the core, and the Envoy plane. It does what
 * its parent says (`Order`), and says how long it took (`Done`).
 */
export interface GateSetting {
  readonly services: number;
  /** Port that Envoys listen at. */
  readonly listen: number;
  /** Sockets that they dial. */
  readonly control: string;
  readonly gate: string;
  /** Two backends on loopback: services lead to the first one. */
  readonly backends: readonly [number, number];
}

export type Order =
  | { readonly do: "start"; readonly setting: GateSetting }
  /** Service of that number leads to that backend; it is new, or was there. */
  | { readonly do: "set"; readonly number: number; readonly backend: number }
  | { readonly do: "remove"; readonly number: number }
  | { readonly do: "certificate" }
  /** Processor time, and for how long nothing else could be done. */
  | { readonly do: "read" }
  /** Memory, after garbage was collected, too. */
  | { readonly do: "look" };

export interface Done {
  /** When it began, ms of `performance.timeOrigin + performance.now()`. */
  readonly at: number;
  /** What it took, before anything else could be done. */
  readonly ms: number;
  /** Processor time so far, ms. */
  readonly cpuMs: number;
  /** The longest that it did one thing since it was told to read the last time, ms of its processor time. */
  readonly stretchMs: number;
  /** Of `ms`, what the core took for the table: of `start` alone. */
  readonly tableMs?: number;
  /** Of the whole process, after garbage was collected: of `start` and `look` alone. */
  readonly residentMiB?: number;
}

const { domain, gateHost, pathHost, listener } = OPTIONS;

/** Of a service's upstream, in the table. */
export const upstreamOf = (number: number): string => `local/job-${number}/web`;

function taskOf(number: number, port: number): Task {
  const team = `team-${number % 40}`;
  return makeTask(`job-${number}`, {
    ...{ kind: "notebook", namespace: team, labels: { team }, startedAt: 1_760_000_000_000 + number },
    owner: { realm: "main", name: `user-${number % 500}` },
    endpoints: { web: [makeEndpoint(port, "0", { address: { ip: "127.0.0.1", port } })] },
    access: { grants: [], anyone: "public" },
  });
}

class RenewedCertificate implements CertificateSource {
  certificates = [make()];
  readonly problems = [];
  /** Routes that Envoys were told of. It is for all hosts, whatever comes. */
  followed = 0;
  #call: () => void = () => undefined;

  follow(routes: TableDiff["routes"]): void {
    this.followed += routes.set.length;
  }

  onChange(call: () => void): void {
    this.#call = call;
  }

  renew(): void {
    this.certificates = [make()];
    this.#call();
  }
}

function make() {
  const names = [domain, `*.${domain}`];
  const { certificate, key } = selfSigned(names);
  return { names, chain: certificate, key };
}

class BenchGate {
  readonly #certificate = new RenewedCertificate();
  readonly #state = createTableState(OPTIONS, []);
  #setting: GateSetting | null = null;
  #plane: EnvoyPlane | null = null;

  /** Resolves when Envoys would be told of everything; gives what the core took for the table, ms. */
  async start(setting: GateSetting): Promise<number> {
    this.#setting = setting;
    const host = "127.0.0.1";
    const listen = { ip: host, port: setting.listen };
    this.#plane = await startEnvoyPlane({
      site: { domain, gateHost, pathHost, secure: true, port: setting.listen, dial: host },
      ...{ gatekeeper: new TestGatekeeper(), explain: () => Promise.reject(new Error("nobody asks")) },
      ...{
        listener,
        secret: "secret of a bench",
        limits: LimitsConfig.parse({}),
        proxiesFrom: [],
        fronts: { from: [], hops: 1 },
      },
      ...{ clock: systemClock, logger: silentLogger, requestId: "keep", accessLog: AccessLogConfig.parse({}) },
      tracing: TracingConfig.parse({}),
      dialRules: { loopback: ["local"], sockets: [], ownPorts: new Set([setting.listen]) },
      certificates: this.#certificate,
      local: { listen, controlSocket: setting.control, gateSocket: setting.gate, create: () => NO_LOCAL_ENVOY },
      ...{ fleets: [], remote: null },
      ...{ apiSocket: "/nowhere", verification: NOBODY_VERIFIED, isAdmin: () => false },
    });
    this.#state.addSource("local");
    const tasks = Array.from({ length: setting.services }, (_, number) => taskOf(number, setting.backends[0]));
    this.#state.update("local", { kind: "whole", tasks, problems: [] });
    const began = performance.now();
    const built = this.#state.build(Date.now());
    const tableMs = performance.now() - began;
    if (built === null) throw new Error("there is no table");
    this.#plane.apply(this.#state.table, built.diff);
    this.#plane.settled();
    await pause(2 * LOOK_MS);
    stretches.read(); // it is told by parts; the table is made at a stretch
    while (this.#certificate.followed < built.diff.routes.set.length) await pause(1);
    return tableMs;
  }

  set(number: number, backend: number): void {
    this.#state.update("local", change([taskOf(number, this.#setting?.backends[backend] ?? 0)]));
    this.#publish();
  }

  remove(number: number): void {
    this.#state.update("local", change([], [`job-${number}`]));
    this.#publish();
  }

  renewCertificate(): void {
    this.#certificate.renew();
  }

  #publish(): void {
    const built = this.#state.build(Date.now());
    if (built !== null) this.#plane?.apply(this.#state.table, built.diff);
  }
}

const gate = new BenchGate();
const collectGarbage = garbageCollector();

/** How often it is looked for how long nothing else was done. */
const LOOK_MS = 5;

/** The longest that the event loop did one thing, in processor time of its own: what others do on the machine does not count, collecting garbage does. */
class Stretches {
  #longest = 0;
  #last = ownCpuMs();

  constructor() {
    setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Since it was read the last time, ms. */
  read(): number {
    this.#look();
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }

  #look(): void {
    const now = ownCpuMs();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
  }
}

function ownCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const stretches = new Stretches();

async function obey(order: Order): Promise<Done> {
  const began = performance.now();
  const tableMs = order.do === "start" ? await gate.start(order.setting) : undefined;
  if (order.do === "set") gate.set(order.number, order.backend);
  else if (order.do === "remove") gate.remove(order.number);
  else if (order.do === "certificate") gate.renewCertificate();
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage();
  const at = performance.timeOrigin + began;
  const stretchMs = order.do === "start" || order.do === "read" ? stretches.read() : NaN;
  const done = { at, ms, cpuMs: (user + system) / 1000, stretchMs, ...(tableMs !== undefined && { tableMs }) };
  if (order.do !== "start" && order.do !== "look") return done; // collecting takes long
  collectGarbage();
  collectGarbage();
  return { ...done, residentMiB: process.memoryUsage().rss / 1024 / 1024 };
}

if (process.send !== undefined) {
  process.on("disconnect", () => process.exit());
  process.on("message", (order: Order) => {
    void obey(order).then((done) => process.send?.(done));
  });
}
