import { declaredPort } from "../declared-port.ts";
import type { PodKind } from "./pod-kind.ts";

const UI_PORT = 4040;

/** A driver of Spark (3.3 and up) that `spark-submit` or Spark's operator started; executors serve nothing by themselves. */
export const spark: PodKind = ({ name, labels, ports }) => {
  const application = labels["spark-app-selector"];
  if (application === undefined || labels["spark-role"] !== "driver") return null;
  return {
    // Applications of one name may run side by side.
    group: application,
    name: labels["spark-app-name"] ?? name,
    instance: application,
    isReplaced: true,
    services: [{ name: "ui", targetPort: declaredPort(ports, "spark-ui", UI_PORT) ?? UI_PORT }],
  };
};
