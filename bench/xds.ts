import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "node:tls";
import { LOCAL_FLEET } from "../src/dataplanes/envoy/names.ts";
import { certificateName } from "../src/dataplanes/envoy/resources/downstream-tls.ts";
import { runEnvoy } from "../src/dataplanes/envoy/testing/run-envoy.ts";
import { freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { cpuSeconds } from "./machine.ts";
import { LightEnvoy } from "./peers/light-envoy.ts";
import { type Done, type GateSetting, type Order, upstreamOf } from "./peers/xds-gate.ts";
import { median, quantile, type Row, type Suite } from "./suite.ts";

/** Services, and how often a first answer is waited for where that is more than all else is done. */
const SIZES: readonly (readonly [services: number, answers: number])[] = [
  [1000, 200],
  [10_000, 0],
  [100_000, 0],
];
/** Simulated, beside the real one. */
const ENVOYS = 100;
const CHANGES = 20;
const MOST_BYTES = 4096;
const MOST_MS = 20;
const MOST_MIB = 1536;
/** For so long the gate may do nothing else. */
const MOST_STRETCH_MS = 50;
const GIVE_UP_MS = 900_000;
/** So long nothing comes any more. */
const QUIET_MS = 200;
/** A second response to one change comes sooner. */
const SETTLE_MS = 20;

/** What it costs to tell Envoys of services: built, in memory, on the wire, and until a real Envoy does as it was told. */
export const benchXds: Suite = async (say, { rounds = CHANGES }) => {
  const rows: Row[] = [];
  for (const [services, answers] of SIZES) {
    const size = { services, envoys: ENVOYS, changes: rounds, answers: Math.max(answers, rounds) };
    rows.push(...(await measureXds(say, size)));
  }
  return rows;
};

export interface XdsSize {
  readonly services: number;
  /** Simulated, beside the real one. */
  readonly envoys: number;
  /** Of each kind. */
  readonly changes: number;
  /** Of each kind, those whose first answer is waited for. */
  readonly answers: number;
}

/** One size of `benchXds`. */
export async function measureXds(say: (line: string) => void, size: XdsSize): Promise<readonly Row[]> {
  await using scope = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "tg-bench-xds-"));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const apps = [];
  for (const name of ["one", "two"]) apps.push(scope.use(await startHttpApp((_, res) => res.end(name))));
  const [one, two] = apps.map(({ address }) => address.port);
  const setting: GateSetting = {
    ...{ services: size.services, listen: await freePort() },
    ...{ control: join(folder, "control.sock"), gate: join(folder, "gate.sock") },
    backends: [one ?? 0, two ?? 0],
  };
  const gate = scope.use(new GateProcess());
  say(`${size.services} services: built, and told to nobody yet`);
  const built = await gate.order({ do: "start", setting });
  const row = (name: string, value: number, unit: string, ratio: number | null = null): Row => ({
    ...{ name: `${name}, ${size.services}`, value, unit, ratio },
  });
  const resident = built.residentMiB ?? NaN;
  const stretch = (name: string, { stretchMs }: Done): Row =>
    row(`${name}: gate's longest stretch`, stretchMs, "ms", stretchMs / MOST_STRETCH_MS);
  const rows = [
    row("the table, at a stretch", built.tableMs ?? NaN, "ms"),
    row("full build and translation", built.ms, "ms"),
    stretch("translation", built),
    row("gate's memory", resident, "MiB", resident / MOST_MIB),
  ];
  say(`${size.services} services: a cold Envoy joins`);
  const asker = new Asker(setting.listen);
  const before = await gate.order({ do: "read" });
  const began = performance.now();
  const envoy = scope.use(await runEnvoy({ folder, id: "real" }));
  await asker.until(size.services - 1, "one");
  rows.push(row("a cold Envoy, to the first answer", performance.now() - began, "ms"));
  const after = await gate.order({ do: "read" });
  rows.push(
    row("a cold Envoy, its processor time", cpuSeconds(envoy.pid) * 1000, "ms"),
    row("a cold Envoy, gate's processor time", after.cpuMs - before.cpuMs, "ms"),
    stretch("a cold Envoy", after),
  );
  const watcher = scope.use(await joinLight(setting, "light-0"));
  rows.push(...(await measureKinds(say, { gate, asker, watcher, size })).map((each) => row(...each)));
  rows.push(row("Envoy's memory, each service", envoy.memory() / 1024 / size.services, "KiB"));
  rows.push(...(await measureMany(say, { gate, setting, size, scope })).map((each) => row(...each)));
  return rows;
}

type Short = readonly [name: string, value: number, unit: string, ratio: number | null];

interface Field {
  readonly gate: GateProcess;
  readonly asker: Asker;
  readonly watcher: LightEnvoy;
  readonly size: XdsSize;
}

interface Change {
  readonly name: string;
  order(round: number): Order;
  /** Resolves when the real Envoy does so. */
  seen(round: number): Promise<void>;
}

function changesOf({ asker, size }: Pick<Field, "asker" | "size">): readonly Change[] {
  // From all over the table, but the last one.
  const numberOf = (round: number): number => (round * 7919) % (size.services - 1);
  const fresh = (round: number): number => size.services + round;
  return [
    {
      name: "one endpoint changed",
      order: (round) => ({ do: "set", number: numberOf(round), backend: 1 }),
      seen: (round) => asker.until(numberOf(round), "two"),
    },
    {
      name: "a new service",
      order: (round) => ({ do: "set", number: fresh(round), backend: 0 }),
      seen: (round) => asker.until(fresh(round), "one"),
    },
    {
      name: "a service removed",
      order: (round) => ({ do: "remove", number: fresh(round) }),
      seen: (round) => asker.until(fresh(round), null),
    },
    {
      name: "a new certificate",
      order: () => ({ do: "certificate" }),
      seen: () => asker.untilOtherCertificate(),
    },
  ];
}

async function measureKinds(say: (line: string) => void, field: Field): Promise<readonly Short[]> {
  const { asker, size } = field;
  await asker.untilOtherCertificate();
  const rows: Short[] = [];
  for (const change of changesOf(field)) {
    say(`${size.services} services: ${change.name}`);
    rows.push(...(await measureAnswers(field, change)), ...(await measureWork(field, change)));
  }
  return rows;
}

/** Through the real Envoy, which is asked all the time. */
async function measureAnswers({ gate, size }: Field, { name, order, seen }: Change): Promise<readonly Short[]> {
  const answered: number[] = [];
  for (let round = 0; round < size.answers; round += 1) {
    const { at } = await gate.order(order(round));
    await seen(round);
    answered.push(performance.timeOrigin + performance.now() - at);
  }
  return [
    [`${name}, to the first answer`, median(answered), "ms", null],
    [`${name}, to the first answer, p99`, quantile(answered, 0.99), "ms", null],
  ];
}

/** While nobody asks anything: what is told, and what it costs the gate. */
async function measureWork({ gate, watcher, size }: Field, { name, order }: Change): Promise<readonly Short[]> {
  const [took, bytes]: [number[], number[]] = [[], []];
  await quiet(watcher);
  const before = await gate.order({ do: "read" });
  for (let round = size.answers; round < size.answers + size.changes; round += 1) {
    const { bytes: sent, responses } = watcher;
    const { ms } = await gate.order(order(round));
    await until(() => watcher.responses > responses);
    await pause(SETTLE_MS);
    took.push(ms);
    bytes.push(watcher.bytes - sent);
  }
  const after = await gate.order({ do: "read" });
  const cpu = (after.cpuMs - before.cpuMs) / size.changes;
  return [
    [`${name}, sent to each Envoy`, Math.max(...bytes), "B", Math.max(...bytes) / MOST_BYTES],
    [`${name}, in the gate at a stretch`, median(took), "ms", median(took) / MOST_MS],
    [`${name}, gate's processor time`, cpu, "ms", cpu / MOST_MS],
  ];
}

/** One endpoint changed, with many Envoys: all hear of it. */
async function measureMany(
  say: (line: string) => void,
  field: {
    readonly gate: GateProcess;
    readonly setting: GateSetting;
    readonly size: XdsSize;
    readonly scope: AsyncDisposableStack;
  },
): Promise<readonly Short[]> {
  const { gate, setting, size, scope } = field;
  say(`${size.services} services: ${size.envoys} simulated Envoys join`);
  const began = performance.now();
  const many: LightEnvoy[] = [];
  for (let at = 1; at <= size.envoys; at += 1) many.push(scope.use(await joinLight(setting, `light-${at}`)));
  const joined = (performance.now() - began) / size.envoys;
  const number = size.services - 1;
  for (const light of many) await quiet(light);
  const before = await gate.order({ do: "read" });
  const counts = (): number => many.reduce((sum, { resources }) => sum + resources, 0);
  const times: number[] = [];
  for (let round = 0; round < size.changes; round += 1) {
    const all = counts() + many.length;
    const { at } = await gate.order({ do: "set", number, backend: (round + 1) % 2 });
    await until(() => counts() >= all);
    times.push(performance.timeOrigin + performance.now() - at);
  }
  const after = await gate.order({ do: "read" });
  const cpu = (after.cpuMs - before.cpuMs) / size.changes;
  const { residentMiB: resident = NaN } = await gate.order({ do: "look" });
  const of = `${size.envoys} more Envoys`;
  return [
    [`${of}: each joins`, joined, "ms", null],
    [`${of}: gate's memory`, resident, "MiB", resident / MOST_MIB],
    [`${of}: all heard of one endpoint changed`, median(times), "ms", null],
    [`${of}: gate's processor time for it`, cpu, "ms", cpu / MOST_MS],
    [`${of}: of that, for each`, (cpu * 1000) / (size.envoys + 2), "µs", null],
  ];
}

async function joinLight({ control, services }: GateSetting, id: string): Promise<LightEnvoy> {
  const light = new LightEnvoy(`unix:${control}`, { id, cluster: LOCAL_FLEET });
  light.subscribe("cluster");
  light.subscribe(
    "endpoints",
    Array.from({ length: services }, (_, number) => upstreamOf(number)),
  );
  light.subscribe("secret", [certificateName(0)]);
  await until(() => light.resources >= 2 * services);
  return light;
}

/** All that it is to be told it was told. */
async function quiet(light: LightEnvoy): Promise<void> {
  let bytes = -1;
  while (bytes !== light.bytes) {
    ({ bytes } = light);
    await pause(QUIET_MS);
  }
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + GIVE_UP_MS;
  while (!holds()) {
    if (performance.now() > end) throw new Error("not all was heard of");
    await pause(1);
  }
}

/** Asks services through the real Envoy, again and again until they answer as they should. */
class Asker {
  readonly #port: number;
  #serial = "";
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });

  constructor(port: number) {
    this.#port = port;
  }

  /** `answer` null: anything but that of a job. */
  async until(number: number, answer: string | null): Promise<void> {
    const end = performance.now() + GIVE_UP_MS;
    for (;;) {
      const body = await this.#ask(`job-${number}.localhost`);
      if (answer === null ? body === null : body === answer) return;
      if (performance.now() > end) throw new Error(`service ${number} does not answer ${String(answer)}`);
      if (body === undefined) await pause(5);
    }
  }

  /** Another than when it was asked last. */
  async untilOtherCertificate(): Promise<void> {
    const before = this.#serial;
    while (this.#serial === before) this.#serial = await this.#askSerial();
  }

  #askSerial(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: this.#port, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once("error", reject);
    });
  }

  /** null: no job answered; undefined: nobody did. */
  #ask(host: string): Promise<string | null | undefined> {
    return new Promise((resolve) => {
      const headers = { host: `${host}:${this.#port}` };
      const asked = request({ host: "127.0.0.1", port: this.#port, headers, agent: this.#agent }, (answer) => {
        let body = "";
        answer.setEncoding("utf8");
        answer.on("data", (text: string) => (body += text));
        answer.on("end", () => resolve(answer.statusCode === 200 ? body : null));
      });
      asked.once("error", () => resolve(undefined));
      asked.end();
    });
  }
}

/** The gate, in a process of its own: its memory is its alone. */
class GateProcess implements AsyncDisposable {
  readonly #child = fork(join(import.meta.dirname, "peers", "xds-gate.ts"), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });

  async order(order: Order): Promise<Done> {
    const { promise, resolve, reject } = Promise.withResolvers<Done>();
    const ended = (): void => reject(new Error("the gate of the bench ended"));
    this.#child.once("message", resolve).once("exit", ended);
    this.#child.send(order);
    try {
      return await promise;
    } finally {
      this.#child.off("exit", ended);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await gone;
  }
}
