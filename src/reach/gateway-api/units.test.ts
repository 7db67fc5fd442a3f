import { describe, expect, test } from "vitest";
import { OWNER_ONLY, type Endpoint, type Service, type Task } from "../../model/index.ts";
import { gateMark } from "./marks.ts";
import { unitsOf } from "./units.ts";

const JOB = "det-12345678-exp-1-trial-1-attempt-0";
const ALLOCATION = "1.cf8e0ba3.1";

function service(name: string, fields: Partial<Service> = {}): Service {
  return { name, protocol: "http", guard: "gate", exposures: [], policy: {}, ...fields };
}

function endpoint(replica: string, fields: Partial<Endpoint> = {}): Endpoint {
  const address = { ip: "10.1.0.1", port: 8888 };
  return { address, replica, pod: `pod-${replica}`, weight: 1, health: "unknown", ...fields };
}

function task(fields: Partial<Task> = {}): Task {
  return {
    ...{ id: "team.a", name: "a", kind: "notebook", owner: null, namespace: "team", labels: {} },
    ...{ state: "running", services: [service("web")], endpoints: {}, access: OWNER_ONLY },
    ...fields,
  };
}

const ref = { cluster: "c", kind: "Job", name: JOB, uid: "u", selector: { determined: ALLOCATION } };

describe("units of a task", () => {
  test("are one for each replica of each service", () => {
    const services = [service("web"), service("log")];
    const endpoints = { web: [endpoint("x"), endpoint("y", { health: "unhealthy" })], log: [endpoint("x")] };
    expect(unitsOf(task({ services, endpoints })).map(({ unit }) => unit)).toMatchObject([
      { id: "team.a/web/x", service: "web", port: 8888, backing: { by: "pod", pod: "pod-x", ip: "10.1.0.1" } },
      { id: "team.a/web/y" },
      { id: "team.a/log/x" },
    ]);
  });

  test("have names that are DNS labels and each its own, whatever the task is called", () => {
    const endpoints = { web: [endpoint("x"), endpoint("X"), endpoint("x/y"), endpoint("x%2Fy")] };
    const units = unitsOf(task({ id: `ns/${"long".repeat(80)}`, endpoints })).map(({ unit }) => unit);
    expect(new Set(units.map(({ objectName }) => objectName)).size).toBe(4);
    expect(new Set(units.map(({ id }) => id)).size).toBe(4);
    for (const { objectName } of units) expect(objectName).toMatch(/^taskgate-h[a-z0-9]{9}$/);
  });

  test("are none of sockets, of addresses in no pod, and of what has ended", () => {
    const socket = endpoint("x", { address: { unix: "/run/x" } });
    const elsewhere: Endpoint = { address: { ip: "10.1.0.1", port: 1 }, replica: "y", weight: 1, health: "healthy" };
    expect(unitsOf(task({ endpoints: { web: [socket, elsewhere] } }))).toEqual([]);
    expect(unitsOf(task({ state: "finished", endpoints: { web: [endpoint("x")] } }))).toEqual([]);
    expect(unitsOf(task({ services: [service("web", { port: 80 })] }))).toEqual([]);
  });

  test("are one of a pod that has two addresses", () => {
    const endpoints = { web: [endpoint("x"), endpoint("x", { address: { ip: "fd00::1", port: 8888 } })] };
    expect(unitsOf(task({ endpoints }))).toHaveLength(1);
  });
});

describe("units of Determined", () => {
  test("are there before the pod is, by what it will be found by, and stay the same when it comes", () => {
    const services = [service("notebook", { port: 2900 }), service("board", { port: 6006 })];
    const before = unitsOf(task({ ref, services }));
    expect(before.map(({ unit }) => unit)).toMatchObject([
      { objectName: `${JOB}-0`, port: 2900, backing: { by: "selector", selector: { determined: ALLOCATION } } },
      { objectName: `${JOB}-1`, port: 6006, determined: { allocation: ALLOCATION, job: JOB } },
    ]);
    const address = (port: number): Endpoint => endpoint("0", { address: { ip: "10.1.0.1", port } });
    const after = unitsOf(task({ ref, services, endpoints: { notebook: [address(2900)], board: [address(6006)] } }));
    expect(after.map(({ unit }) => unit)).toEqual(before.map(({ unit }) => unit));
    expect(after.map((one) => one.endpoint?.replica)).toEqual(["0", "0"]);
  });

  test("are not there before the pods of an allocation of several, of which each gets its own", () => {
    expect(unitsOf(task({ ref: { ...ref, size: 4 }, services: [service("web", { port: 8888 })] }))).toEqual([]);
    expect(unitsOf(task({ ref: { ...ref, size: 1 }, services: [service("web", { port: 8888 })] })).length).toBe(1);
  });

  test("are one for each rank, by its pod, under the names of its Job", () => {
    const endpoints = { web: ["0", "1", `${JOB}-x7k2p`].map((replica) => endpoint(replica)) };
    expect(unitsOf(task({ ref, endpoints })).map(({ unit }) => [unit.objectName, unit.backing.by])).toEqual([
      [`${JOB}-0-0`, "pod"],
      [`${JOB}-0-1`, "pod"],
      [`${JOB}-0-x7k2p`, "pod"],
    ]);
  });

  test("have a hash in their names where those would be too long, and say whose they are in their marks all the same", () => {
    const name = `det-12345678-${"description".repeat(6)}`;
    const [first] = unitsOf(task({ ref: { ...ref, name }, services: [service("web", { port: 1 })] }));
    expect(first?.unit.objectName).toMatch(/^det-12345678-[a-z]+-h[a-z0-9]{9}$/);
    expect(first?.unit.objectName.length).toBeLessThanOrEqual(63);
    expect(first?.unit.determined?.job).toBe(name);
  });
});

test("a gate's mark is a value of a label and part of a key, whatever its provider is called", () => {
  expect(gateMark("abcdefghij", "cluster")).toBe("abcdefghij-cluster");
  for (const provider of ["x".repeat(60), "Team_A", "a.b", "ends-"]) {
    expect(gateMark("abcdefghij", provider)).toMatch(/^abcdefghij-h[a-z0-9]{9}$/);
  }
});
