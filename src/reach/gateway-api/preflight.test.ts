import { describe, expect, test } from "vitest";
import type { Service, Task } from "../../model/index.ts";
import { addressKind } from "../../platform/address-kind.ts";
import type { KubernetesService } from "../../platform/kubernetes/objects.ts";
import type { Surroundings } from "./policies/surroundings.ts";
import {
  adviseOnBounds,
  adviseOnPlainText,
  adviseOnReach,
  adviseOnUnverified,
  isPlainText,
  type Exposed,
} from "./preflight.ts";
import { podTask } from "./testing/scripted-provider.ts";

const AROUND: Surroundings = {
  pods: { namespace: "edge", labels: { app: "envoy" } },
  ...{ isOnHostNetwork: false, services: [], unread: null },
};
const EXPOSED: Exposed = {
  ref: { namespace: "edge", name: "tasks", address: "10.0.0.7" },
  ...{ gateway: null, isOwn: (port) => port === 32_768, around: AROUND },
};

function codes(differs: Partial<Exposed>): readonly string[] {
  return adviseOnReach([{ ...EXPOSED, ...differs }]).map(({ level, code }) => `${level} ${code}`);
}

function withService(spec: object, annotations: Readonly<Record<string, string>> = {}): Partial<Exposed> {
  const service: KubernetesService = { metadata: { name: "envoy", namespace: "edge", annotations }, spec };
  return { around: { ...AROUND, services: [service] } };
}

const NOTHING_WRONG = ["ok gateway_address", "ok gateway_unseen"];

test.each([
  ["127.0.0.1", "loopback"],
  ["::1", "loopback"],
  ["10.1.2.3", "private"],
  ["172.31.0.1", "private"],
  ["172.32.0.1", "public"],
  ["192.168.49.2", "private"],
  ["100.64.0.1", "private"],
  ["fd00::1", "private"],
  ["2001:db8::1", "public"],
  ["203.0.113.9", "public"],
  ["gateway.example.com", "name"],
])("%s is %s", (address, kind) => {
  expect(addressKind(address)).toBe(kind);
});

describe("who can reach a Gateway", () => {
  test("is told by its address, as far as that says it", () => {
    expect(codes({})).toEqual(NOTHING_WRONG);
    const at = (address: string) => codes({ ref: { ...EXPOSED.ref, address } })[0];
    expect(at("127.0.0.1")).toBe("ok gateway_address");
    expect(at("203.0.113.9")).toBe("warn gateway_address_public");
    expect(at("gateway.example.com")).toBe("ok gateway_address");
  });

  test("is told by its Services: load balancers without an allow list, and ports of nodes", () => {
    const [, open] = adviseOnReach([{ ...EXPOSED, ...withService({ type: "LoadBalancer" }) }]);
    expect(open).toMatchObject({ level: "warn", code: "gateway_open_to_all" });
    expect(open?.remedy).toContain(
      `kubectl patch service envoy --namespace edge --type merge --patch '{"spec":{"loadBalancerSourceRanges":`,
    );
    const all = { type: "LoadBalancer", loadBalancerSourceRanges: ["0.0.0.0/0"] };
    expect(codes(withService(all))).toContain("warn gateway_open_to_all");
    const some = { type: "LoadBalancer", loadBalancerSourceRanges: ["192.0.2.0/24"] };
    expect(codes(withService(some))).toContain("ok gateway_allow_list");
    expect(codes(withService({ type: "NodePort" }))).toContain("warn gateway_open_to_all");
    expect(codes(withService({ type: "ClusterIP" }))).toEqual(NOTHING_WRONG);
    const internal = { "networking.gke.io/load-balancer-type": "Internal" };
    expect(codes(withService({ type: "LoadBalancer" }, internal))).toEqual(NOTHING_WRONG);
  });

  test("says plainly what it was not let see", () => {
    const unread = { ...AROUND, pods: null, services: null, unread: "pods of namespace edge" };
    const [, blind] = adviseOnReach([{ ...EXPOSED, around: unread }]);
    expect(blind).toMatchObject({
      code: "gateway_not_looked_at",
      message: "whether Gateway edge/tasks is open to others cannot be told without pods of namespace edge",
    });
    // Not yet: the gate has only begun.
    expect(codes({ around: null })).toEqual(NOTHING_WRONG);
  });

  test("names listeners of others, and not its own", () => {
    const listeners = [
      { name: "det-32768", port: 32_768, protocol: "TCP" },
      { name: "web", port: 443, protocol: "HTTPS" },
    ];
    const gateway = { metadata: { name: "tasks", namespace: "edge" }, spec: { listeners } };
    const shared = adviseOnReach([{ ...EXPOSED, gateway }]).find(({ code }) => code === "gateway_shared");
    expect(shared?.message).toContain("listeners of others: web (443).");
  });
});

test("a definition that was raised by half is found out", () => {
  expect(adviseOnBounds({ least: 1, most: 213, told: 64 })).toMatchObject([{ code: "gateway_status_bound" }]);
  expect(adviseOnBounds({ least: 1, most: 213, told: 213 })).toEqual([]);
  expect(adviseOnBounds({ least: 1, most: 64 })).toEqual([]);
});

const PLAIN: Service = { name: "web", protocol: "http", guard: "gate", exposures: [], policy: {} };

test.each<[Partial<Service>, boolean]>([
  [{}, true],
  [{ protocol: "grpc" }, true],
  [{ protocol: "tcp" }, true],
  [{ guard: "self" }, true],
  // A shell: it encrypts itself, and its protocol is none that TLS is spoken under.
  [{ protocol: "tcp", guard: "self" }, false],
  [{ protocol: "tls" }, false],
  [{ policy: { upstreamTls: { verify: "none" } } }, false],
])("a service that is %j is plain text: %j", (differs, is) => {
  expect(isPlainText({ ...PLAIN, ...differs })).toBe(is);
});

test("tasks that speak plain text are named, a few of many, unless the Gateway ends TLS for them", () => {
  const task = (id: string, differs: Partial<Task> = {}): Task => ({
    ...podTask(id, "team", [{ pod: id, ip: "10.0.0.1" }]),
    ...{ services: [PLAIN, { ...PLAIN, name: "ssh", protocol: "tcp", guard: "self" }], ...differs },
  });
  const many = Array.from({ length: 12 }, (_, at) => task(`tb-${String(at)}`));
  const [advice] = adviseOnPlainText([...many, task("over", { state: "finished" })], false);
  expect(advice?.message).toMatch(/^12 tasks speak plain text .*: tb-0 \(web\), .*tb-9 \(web\), and 2 more$/);
  expect(adviseOnPlainText(many, true)).toEqual([]);
  expect(adviseOnUnverified(many)).toEqual([]);
  const lab = task("lab", { services: [{ ...PLAIN, policy: { upstreamTls: { verify: "none" } } }] });
  expect(adviseOnUnverified([...many, lab])).toMatchObject([
    { code: "gateway_unverified", message: expect.stringMatching(/^1 tasks .*: lab \(web\)$/) as string },
  ]);
  expect(adviseOnPlainText([task("sealed", { services: [] })], false)).toEqual([]);
});
