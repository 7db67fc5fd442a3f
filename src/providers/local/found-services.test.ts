import { expect, test } from "vitest";
import type { FoundPort, Recognised } from "./discover/discover.ts";
import { buildRunTask } from "./build-task.ts";
import { admitPort, MOST_FOUND, type OpenPorts } from "./found-services.ts";
import { runRecordOf, type RunRecord } from "./task-record.ts";
import { OWNER, runSpec } from "./testing/local-stand.ts";

const JUPYTER: Recognised = {
  service: "jupyter",
  kind: "notebook",
  protocol: "http",
  landingPath: "/lab",
  policy: { rewriteHost: true },
  hidden: false,
};

function recordOf(spec: Parameters<typeof runSpec>[1] = {}): RunRecord {
  return runRecordOf(runSpec(["x"], spec), { name: "nb", picked: [5000, 5001, 5002, 5003], now: 1 });
}

/** Ports that are open in replicas 0, 1, …. */
function openPorts(...replicas: readonly (readonly number[])[]): OpenPorts {
  const found = (port: number): FoundPort => ({ port, ip: "127.0.0.1", pid: 2, command: [] });
  return new Map(replicas.map((ports, index) => [String(index), ports.map(found)]));
}

function admit(record: RunRecord, open: OpenPorts, arrival: readonly [replica: string, port: number], what = JUPYTER) {
  return admitPort(record, open, { replica: arrival[0], port: arrival[1], recognised: what });
}

const namesOf = (record: RunRecord): readonly string[] => record.found.map((service) => service.name);

test("a second port of a sort gets a number, and one that was admitted before changes nothing", () => {
  const open = openPorts([1, 2]);
  const one = admit(recordOf(), open, ["0", 1]);
  const two = admit(one, open, ["0", 2]);
  expect(namesOf(two)).toEqual(["jupyter", "jupyter-2"]);
  expect(admit(two, open, ["0", 1])).toBe(two);
});

test("a port that takes the place of one that closed keeps its name", () => {
  const before = admit(recordOf(), openPorts([1]), ["0", 1]);
  const after = admit(before, openPorts([9]), ["0", 9]);
  expect(after.found).toEqual([{ name: "jupyter", base: "jupyter", ports: { 0: 9 } }]);
});

test("the first of a sort in every replica is one service", () => {
  const open = openPorts([1], [2]);
  const record = admit(admit(recordOf({ replicas: 2 }), open, ["0", 1]), open, ["1", 2]);
  expect(record.found).toEqual([{ name: "jupyter", base: "jupyter", ports: { 0: 1, 1: 2 } }]);
});

test("a declared service gets what it was recognised as where the protocols agree, and only the kind where not", () => {
  const services = [{ name: "web", protocol: "http" }] as const;
  const agreed = admit(recordOf({ services }), openPorts([5000]), ["0", 5000]);
  expect(agreed.found).toEqual([]);
  expect(agreed.recognised.web).toEqual({
    kind: "notebook",
    protocol: "http",
    landingPath: "/lab",
    policy: { rewriteHost: true },
  });
  const other = admit(recordOf({ services: [{ name: "web", protocol: "tcp" }] }), openPorts([5000]), ["0", 5000]);
  expect(other.recognised.web).toEqual({ kind: "notebook", protocol: "tcp", policy: {} });
});

test("a found service does not get the name of a declared one", () => {
  const services = [{ name: "jupyter", protocol: "http" }] as const;
  expect(namesOf(admit(recordOf({ services }), openPorts([1]), ["0", 1]))).toEqual(["jupyter-2"]);
});

test("beside declared services, a found one is the owner's alone, however open the task is; without, it is as open as the task", () => {
  const view = (record: RunRecord, open: OpenPorts) =>
    buildRunTask({ record, open, phase: "supervised", stopping: false, state: null, ready: true }, OWNER);
  const services = [{ name: "web", protocol: "http" }] as const;
  const open = openPorts([5000, 1]);
  const debuggable = { ...JUPYTER, protocol: "tcp" } as const;
  const beside = view(admit(recordOf({ services, anyone: "public" }), open, ["0", 1], debuggable), open);
  expect(beside.services.map(({ access, exposures }) => [access?.anyone, exposures])).toEqual([
    [undefined, []],
    ["nobody", []],
  ]);
  const alone = view(admit(recordOf({ anyone: "public" }), open, ["0", 1], debuggable), open);
  expect(alone.services.map(({ access, exposures }) => [access?.anyone, exposures])).toEqual([
    [undefined, [{ by: "port" }]],
  ]);
});

test("internal plumbing is no service", () => {
  const record = recordOf();
  expect(admit(record, openPorts([1]), ["0", 1], { ...JUPYTER, hidden: true })).toBe(record);
});

test("a job that opens ports without end gets so many services, and the oldest that closed makes room", () => {
  const all = Array.from({ length: MOST_FOUND + 5 }, (_, index) => index + 1);
  const full = all.reduce((record, port) => admit(record, openPorts(all), ["0", port]), recordOf());
  expect(full.found).toHaveLength(MOST_FOUND);
  const raw = { ...JUPYTER, service: "raw", protocol: "tcp" } as const;
  const later = admit(full, openPorts([...all.slice(1), 999]), ["0", 999], raw);
  expect(later.found).toHaveLength(MOST_FOUND);
  expect(namesOf(later)).not.toContain("jupyter");
  expect(namesOf(later)).toContain("raw");
  expect(Object.keys(later.recognised)).toHaveLength(MOST_FOUND);
});

test("raw TCP of a task that is open to everybody asks for a port, the first service for its path, and none else", () => {
  const spec = { anyone: "public", path: "/nb/", services: [{ name: "db", protocol: "tcp" }] } as const;
  const open = openPorts([5000, 1]);
  const record = admit(recordOf(spec), open, ["0", 1]);
  const view = { record, open, phase: "supervised", stopping: false, state: null, ready: true } as const;
  const task = buildRunTask(view, OWNER);
  expect(task.access.anyone).toBe("public");
  expect(task.services.map((service) => service.exposures)).toEqual([
    [{ by: "path", prefix: "/nb/", strip: true }, { by: "port" }],
    [],
  ]);
  const closed = buildRunTask({ ...view, record: { ...record, anyone: "authenticated" } }, OWNER);
  expect(closed.services[0]!.exposures).toEqual([{ by: "path", prefix: "/nb/", strip: true }]);
});

test("the kind is the owner's word, else that of the first service that has one", () => {
  const open = openPorts([1]);
  const view = { open, phase: "supervised", stopping: false, state: null, ready: true } as const;
  expect(buildRunTask({ ...view, record: recordOf() }, OWNER).kind).toBe("process");
  expect(buildRunTask({ ...view, record: admit(recordOf(), open, ["0", 1]) }, OWNER).kind).toBe("notebook");
  expect(buildRunTask({ ...view, record: admit(recordOf({ kind: "lab" }), open, ["0", 1]) }, OWNER).kind).toBe("lab");
});
