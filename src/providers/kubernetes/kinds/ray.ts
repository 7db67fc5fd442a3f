import { declaredPort } from "../declared-port.ts";
import type { KnownService, PodFacts, PodKind } from "./pod-kind.ts";

/** What a head offers at which port, by the names that KubeRay gives ports. Its store (6379) is for Ray's own nodes. */
const HEAD: readonly KnownService[] = [
  { name: "dashboard", targetPort: 8265 },
  { name: "client", targetPort: 10_001, protocol: "grpc" },
  { name: "serve", targetPort: 8000 },
  { name: "metrics", targetPort: 8080 },
];

/** A cluster of Ray that KubeRay (1.7) made: its head, and its workers as ranks with what they offer, too. */
export const ray: PodKind = ({ labels, ports }) => {
  const cluster = labels["ray.io/cluster"];
  const type = labels["ray.io/node-type"];
  if (cluster === undefined || (type !== "head" && type !== "worker")) return null;
  const isHead = type === "head";
  const rank = isHead ? "head" : rankOf(labels);
  return {
    group: cluster,
    ...(rank === null ? {} : { rank }),
    follows: !isHead,
    services: HEAD.flatMap((service) => {
      const port =
        isHead || service.name === "metrics" || service.name === "serve" ? portOf(service, labels, ports) : null;
      return port === null ? [] : [{ ...service, targetPort: port }];
    }),
  };
};

/**
 * null: it is not there. `ray.io/serve` says of a RayService's pods whether they take requests; else what is declared counts, and where
 * nothing is (but the metrics, which KubeRay adds), everything is at its usual place on the head.
 */
function portOf(
  { name, targetPort }: KnownService,
  labels: PodFacts["labels"],
  ports: PodFacts["ports"],
): number | null {
  const declared = declaredPort(ports, name, targetPort);
  const serves = labels["ray.io/serve"];
  if (name === "serve" && serves !== undefined) return serves === "true" ? (declared ?? targetPort) : null;
  const isBare = labels["ray.io/node-type"] === "head" && ports.every((port) => port.name === "metrics");
  return declared ?? (isBare ? targetPort : null);
}

/** With RayMultiHostIndexing a worker has a number that outlives the pod; null: it has none. */
function rankOf(labels: PodFacts["labels"]): string | null {
  const group = labels["ray.io/group"];
  const index = labels["ray.io/worker-group-replica-index"];
  if (group === undefined || index === undefined) return null;
  const host = labels["ray.io/replica-host-index"];
  return [group, index, ...(host === undefined ? [] : [host])].join("-");
}
