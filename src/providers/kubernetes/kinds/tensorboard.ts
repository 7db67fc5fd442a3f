import { declaredPort } from "../declared-port.ts";
import type { PodKind } from "./pod-kind.ts";

const NAME = "tensorboard";
const PORT = 6006;

/**
 * A TensorBoard: of Kubeflow's controller (1.11), which marks its pods by nothing but their container, or of whoever writes the usual label
 * `app.kubernetes.io/name: tensorboard`.
 */
export const tensorboard: PodKind = ({ workload, labels, containers, ports }) => {
  const own = containers.find(({ name }) => name === NAME);
  const isLabelled = labels["app.kubernetes.io/name"] === NAME;
  const port = declaredPort(isLabelled ? ports : (own?.ports ?? []), NAME, PORT) ?? (isLabelled ? PORT : null);
  return port === null ? null : { group: workload, services: [{ name: NAME, targetPort: port }] };
};
