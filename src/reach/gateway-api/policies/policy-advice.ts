import type { ReachAdvice } from "../../../model/index.ts";
import { gatewayKey, type GatewayRef } from "../unit.ts";
import type { Unguarded } from "./plan-policies.ts";
import type { Surroundings } from "./surroundings.ts";

const NAMES = 10;

/** What is to be said of a Gateway of whose pods nothing is known by which policies could let them in. */
export function adviseOnPods(gateway: GatewayRef, around: Surroundings): readonly ReachAdvice[] {
  const { namespace, name } = gateway;
  const key = gatewayKey(gateway);
  if (around.isOnHostNetwork) {
    return [
      {
        level: "warn",
        code: "gateway_pods_unknown",
        message: `the pods of Gateway ${key} have their nodes' addresses, by which no NetworkPolicy knows them: tasks get none, and whoever is in the cluster reaches their ports`,
        remedy: "policies of your own, by the nodes' addresses (ipBlock)",
      },
    ];
  }
  if (around.pods !== null) return [];
  const unread = around.unread === null ? "" : ` (without the right to list ${around.unread})`;
  return [
    {
      level: "warn",
      code: "gateway_pods_unknown",
      message: `which pods are Gateway ${key}'s is not known${unread}: tasks get no NetworkPolicies, and whoever is in the cluster reaches their ports`,
      remedy: `gateway.gateways: [{name: ${name}, namespace: ${namespace}, pods: {namespace: NAMESPACE, labels: {LABEL: VALUE}}}], or gateway.networkPolicy: false`,
    },
  ];
}

/** What is to be said of tasks that have no policy. `names`: by id. */
export function adviseOnUnguarded(
  unguarded: ReadonlyMap<string, Unguarded>,
  names: ReadonlyMap<string, string>,
): readonly ReachAdvice[] {
  const by = (why: Unguarded): readonly string[] =>
    [...unguarded].flatMap(([task, each]) => (each === why ? [names.get(task) ?? task] : []));
  const [selector, policies] = [by("selector"), by("policies")];
  return [
    ...(selector.length === 0
      ? []
      : [
          {
            level: "warn" as const,
            code: "task_unguarded",
            message: `no label tells the pods of ${String(selector.length)} tasks from others, so they have no NetworkPolicy, and whoever is in the cluster reaches their ports: ${some(selector)}`,
            remedy: "run them as Jobs or StatefulSets, whose pods have such labels, or write policies of your own",
          },
        ]),
    ...(policies.length === 0
      ? []
      : [
          {
            level: "ok" as const,
            code: "task_policies_of_others",
            message: `others' NetworkPolicies may be about the pods of ${String(policies.length)} tasks, so the gate makes none: theirs say who reaches these, and have to let in the Gateway's pods: ${some(policies)}`,
            remedy: null,
          },
        ]),
  ];
}

function some(names: readonly string[]): string {
  const more = names.length - NAMES;
  return [...names.slice(0, NAMES), ...(more > 0 ? [`and ${String(more)} more`] : [])].join(", ");
}
