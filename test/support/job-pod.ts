import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TASKGATE_IMAGE } from "../../testbed/kubernetes/images.ts";
import { ROOT } from "./gate.ts";

const PORTS = { web: 8080, grpc: 8081, tcp: 8082 };
const CONFIG = "job";
const PATH = "/opt/taskgate/endless.mjs";

/** What pods of a namespace need that run test/support/endless.mjs. */
export function jobNamespace(namespace: string): readonly object[] {
  const data = { "endless.mjs": readFileSync(join(ROOT, "test/support/endless.mjs"), "utf8") };
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: CONFIG, namespace }, data },
  ];
}

/** Runs test/support/endless.mjs beside taskgate's packages: services `web`, `grpc`, and `tcp`, which has a port of its own. */
export function jobPod(namespace: string, name: string): object {
  const services = [
    { name: "web", targetPort: PORTS.web },
    { name: "grpc", targetPort: PORTS.grpc, protocol: "grpc" },
    { name: "tcp", targetPort: PORTS.tcp, protocol: "tcp", port: "auto", access: "public" },
  ];
  const annotations = { "taskgate.dev/enabled": "true", "taskgate.dev/services": JSON.stringify(services) };
  const numbers = Object.values(PORTS).map((port, at) => ({
    name: `TASKGATE_PORT_${String(at)}`,
    value: String(port),
  }));
  return {
    ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace, annotations } },
    spec: {
      ...{ terminationGracePeriodSeconds: 0, automountServiceAccountToken: false },
      volumes: [{ name: "job", configMap: { name: CONFIG } }],
      containers: [
        {
          ...{ name: "job", image: TASKGATE_IMAGE, imagePullPolicy: "Never", command: ["node", PATH] },
          env: [...numbers, { name: "ENDLESS_ADDRESS", value: "0.0.0.0" }],
          volumeMounts: [{ name: "job", mountPath: PATH, subPath: "endless.mjs" }],
          readinessProbe: { httpGet: { path: "/ready", port: PORTS.web }, periodSeconds: 1 },
        },
      ],
    },
  };
}
