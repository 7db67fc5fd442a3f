import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Task } from "../../../model/index.ts";
import { NAMESPACE_NAME_LABEL, type NetworkPolicy } from "../../../platform/kubernetes/network-policy-objects.ts";
import { objectKey } from "../../../platform/kubernetes/objects.ts";
import { GATE_LABEL } from "../../../platform/kubernetes/gate-marks.ts";
import { type EvaluatedPod, mayReach } from "../testing/evaluate-policies.ts";
import { buildPolicy, mayPick, openRanges } from "./network-policy.ts";
import { planPolicies, type PolicyInput } from "./plan-policies.ts";

const MARK = "abcdefghij-far";
const GATEWAY = { namespace: "gw", labels: { "gateway.networking.k8s.io/gateway-name": "edge" } };

function pod(namespace: string, labels: Record<string, string>): EvaluatedPod {
  return { namespace, namespaceLabels: { [NAMESPACE_NAME_LABEL]: namespace }, labels };
}

const PROXY = pod("gw", { ...GATEWAY.labels, "pod-template-hash": "x" });
const RANKS = [pod("team", { job: "train", rank: "0" }), pod("team", { job: "train", rank: "1" })] as const;
const NEIGHBOUR = pod("team", { job: "other" });
/** Who is not to reach it: a neighbour, another namespace, one that calls itself a Gateway's, one of the Gateway's namespace. */
const STRANGERS = [NEIGHBOUR, pod("web", {}), pod("web", GATEWAY.labels), pod("gw", { app: "controller" })];
const anyPort = fc.integer({ min: 1, max: 65_535 });

describe("a policy of one task", () => {
  const policyOf = (ports: readonly number[]): NetworkPolicy =>
    buildPolicy({ task: "team.train", namespace: "team", pods: { job: ["train"] }, ports }, [GATEWAY], MARK);

  test("lets the Gateway's pods and its own reach its ports, nobody else, and everybody the others", () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyPort, { minLength: 1, maxLength: 6 }), fc.array(anyPort), (ports, others) => {
        const policy = policyOf(ports);
        const near = ports.flatMap((port) => [port - 1, port + 1]).filter((port) => port >= 1 && port <= 65_535);
        for (const port of new Set([...ports, ...others, ...near, 1, 65_535])) {
          const isClosed = ports.includes(port);
          for (const from of [PROXY, ...RANKS])
            expect(mayReach([policy], { from, to: RANKS[0], protocol: "TCP", port })).toBe(true);
          for (const from of STRANGERS) {
            expect(mayReach([policy], { from, to: RANKS[1], protocol: "TCP", port })).toBe(!isClosed);
            for (const protocol of ["UDP", "SCTP"] as const)
              expect(mayReach([policy], { from, to: RANKS[0], protocol, port })).toBe(true);
            expect(mayReach([policy], { from, to: NEIGHBOUR, protocol: "TCP", port })).toBe(true);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test("has one range for what is between two ports, and none that is empty", () => {
    expect(openRanges([80])).toEqual([
      { protocol: "TCP", port: 1, endPort: 79 },
      { protocol: "TCP", port: 81, endPort: 65_535 },
    ]);
    expect(openRanges([1, 2, 4, 65_535])).toEqual([
      { protocol: "TCP", port: 3 },
      { protocol: "TCP", port: 5, endPort: 65_534 },
    ]);
  });

  test("is about several pods by the one label that differs", () => {
    const policy = buildPolicy({ task: "t", namespace: "team", pods: { rank: ["0", "1"] }, ports: [80] }, [GATEWAY], MARK); // prettier-ignore
    for (const to of RANKS) expect(mayReach([policy], { from: NEIGHBOUR, to, protocol: "TCP", port: 80 })).toBe(false);
    expect(mayReach([policy], { from: RANKS[0], to: NEIGHBOUR, protocol: "TCP", port: 80 })).toBe(true);
  });
});

test.each([
  [{}, true],
  [{ matchLabels: { job: "train" } }, true],
  [{ matchLabels: { app: "x" } }, true],
  [{ matchLabels: { job: "other" } }, false],
  [{ matchExpressions: [{ key: "job", operator: "In", values: ["other"] }] }, false],
  [{ matchExpressions: [{ key: "job", operator: "In", values: ["other", "train"] }] }, true],
  [{ matchExpressions: [{ key: "job", operator: "NotIn", values: ["train"] }] }, false],
  [{ matchExpressions: [{ key: "job", operator: "Exists" }] }, true],
  [{ matchExpressions: [{ key: "job", operator: "DoesNotExist" }] }, false],
  [{ matchExpressions: [{ key: "app", operator: "DoesNotExist" }] }, true],
])("somebody's policy about %j may be about the task's pods: %j", (podSelector, may) => {
  expect(mayPick({ metadata: { name: "x" }, spec: { podSelector } }, { job: ["train"] })).toBe(may);
  expect(mayPick({ metadata: { name: "x" }, spec: { podSelector, policyTypes: ["Egress"] } }, { job: ["train"] })).toBe(false); // prettier-ignore
});

function taskOf(id: string, differs: Partial<Task> = {}): Task {
  return {
    ...{
      id,
      name: id,
      kind: "job",
      owner: null,
      namespace: "team",
      labels: {},
      state: "running",
      access: { grants: [] },
    },
    ref: { cluster: "far", kind: "Job", name: id, uid: "u", pods: { "job-name": [id] } },
    services: [{ name: "web", protocol: "http", port: 8080, guard: "gate", exposures: [], policy: {} }],
    endpoints: { web: [{ address: { ip: "10.0.0.1", port: 8080 }, replica: "0", weight: 1, health: "healthy" }] },
    ...differs,
  } as Task;
}

function input(tasks: readonly Task[], differs: Partial<PolicyInput> = {}): PolicyInput {
  const all = new Map(tasks.map((task) => [task.id, task]));
  return { mark: MARK, tasks: all, isWhole: true, gateways: [GATEWAY], policies: new Map(), ...differs };
}

/** What the cluster has once the steps are done. */
function done(
  before: PolicyInput["policies"],
  steps: ReturnType<typeof planPolicies>["steps"],
): Map<string, NetworkPolicy> {
  const after = new Map(before);
  for (const { action, object } of steps) {
    if (action === "remove") after.delete(objectKey(object));
    else after.set(objectKey(object), { ...object, metadata: { ...object.metadata, resourceVersion: "1", uid: "u" } });
  }
  return after;
}

describe("the plan", () => {
  const nb = taskOf("nb");
  const made = done(new Map(), planPolicies(input([nb])).steps);

  test("makes what is missing once, changes what is otherwise, and removes what has no task", () => {
    expect(planPolicies(input([nb], { policies: made })).steps).toEqual([]);
    const more = taskOf("nb", { endpoints: { web: [{ address: { ip: "10.0.0.1", port: 9090 }, replica: "0", weight: 1, health: "healthy" }] } }); // prettier-ignore
    const [step] = planPolicies(input([more], { policies: made })).steps;
    expect(step).toMatchObject({ action: "replace", object: { metadata: { resourceVersion: "1" } } });
    expect(planPolicies(input([more], { policies: done(made, step === undefined ? [] : [step]) })).steps).toEqual([]);
    const over = taskOf("nb", { state: "finished" });
    for (const tasks of [[], [over]])
      expect(planPolicies(input(tasks, { policies: made })).steps.map(({ action }) => action)).toEqual(["remove"]);
    expect(planPolicies(input([], { policies: made, isWhole: false })).steps).toEqual([]);
  });

  test("closes nothing while a Gateway's pods are not known, and lets stand what is there", () => {
    expect(planPolicies(input([nb], { gateways: null })).steps).toEqual([]);
    expect(planPolicies(input([nb], { gateways: null, policies: made })).steps).toEqual([]);
  });

  test("has none where nothing tells its pods from others", () => {
    const plain = taskOf("nb", { ref: { cluster: "far", kind: "ReplicaSet", name: "nb", uid: "u" } });
    expect(planPolicies(input([plain]))).toEqual({ steps: [], unguarded: new Map([["nb", "selector"]]) });
    expect(planPolicies(input([plain], { policies: made, isWhole: false })).steps).toMatchObject([
      { action: "remove" },
    ]);
  });

  test("opens nothing that somebody else's policy closes: its own goes, though it is older", () => {
    const deny: NetworkPolicy = { metadata: { name: "deny", namespace: "team" }, spec: { podSelector: {}, policyTypes: ["Ingress"] } }; // prettier-ignore
    const policies = new Map([...made, [objectKey(deny), deny]]);
    const { steps, unguarded } = planPolicies(input([nb], { policies, isWhole: false }));
    expect(unguarded).toEqual(new Map([["nb", "policies"]]));
    expect(steps.map(({ action }) => action)).toEqual(["remove"]);
    const elsewhere = { ...deny, metadata: { name: "deny", namespace: "web" } };
    expect(planPolicies(input([nb], { policies: new Map([...made, ["web/deny", elsewhere]]) })).steps).toEqual([]);
  });

  test("of two gates that have the same task, one guards it", () => {
    const other = (mark: string): PolicyInput["policies"] => done(new Map(), planPolicies(input([nb], { mark })).steps);
    expect(planPolicies(input([nb], { policies: other("aaaaaaaaaa-far") })).unguarded.size).toBe(1);
    expect(planPolicies(input([nb], { policies: other("zzzzzzzzzz-far") })).steps).toMatchObject([
      { action: "create" },
    ]);
    // Which is none of ours, whatever becomes of the task.
    const theirs = [...other("zzzzzzzzzz-far").values()].map(({ metadata }) => metadata.labels?.[GATE_LABEL]);
    expect(theirs).toEqual(["zzzzzzzzzz-far"]);
    expect(planPolicies(input([], { policies: other("zzzzzzzzzz-far") })).steps).toEqual([]);
  });
});
