import type { Gateway, Listener } from "../../../platform/kubernetes/gateway-objects.ts";
import type { Unit } from "../unit.ts";

/** One pod of a task, `PORT` 8000. */
export function podUnit(task: string, fields: Partial<Unit> = {}): Unit {
  return {
    ...{ id: `${task}/web/0`, task, service: "web", replica: "0", namespace: "team", port: 8000 },
    ...{ objectName: `taskgate-${task}`, backing: { by: "pod", pod: `${task}-0`, ip: "10.1.0.1" } },
    ...fields,
  };
}

/** The first service of an allocation of Determined that is one pod. */
export function determinedUnit(allocation: string, fields: Partial<Unit> = {}): Unit {
  const job = `det-12345678-cmd-${allocation}`;
  return {
    ...{ id: `${allocation}/notebook/0`, task: allocation, service: "notebook", replica: "0", namespace: "team" },
    ...{ port: 2900, objectName: `${job}-0`, backing: { by: "selector", selector: { determined: allocation } } },
    determined: { allocation, job },
    ...fields,
  };
}

/** Somebody's Gateway, with a listener of his that no unit's port is in the way of. */
export function gateway(name = "main", listeners: readonly Listener[] = [PLACEHOLDER]): Gateway {
  const spec = { gatewayClassName: "some", listeners, allowedListeners: { namespaces: { from: "Same" } } };
  return { apiVersion: "gateway.networking.k8s.io/v1", kind: "Gateway", metadata: { name, namespace: "gw" }, spec };
}

export const PLACEHOLDER: Listener = { name: "placeholder", port: 1024, protocol: "TCP" };
