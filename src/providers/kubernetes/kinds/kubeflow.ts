import type { PodKind } from "./pod-kind.ts";

const PORT = 8888;

/** A notebook of Kubeflow's notebook controller (1.11). Whose it is, its namespace says: there is one for each user. */
export const kubeflow: PodKind = ({ namespace, labels, containers }) => {
  const notebook = labels["notebook-name"];
  if (notebook === undefined) return null;
  // The controller takes the first port of the first container for the notebook's, which is named by the user.
  const main = containers.find(({ name }) => name === notebook) ?? containers[0];
  return {
    group: notebook,
    label: "notebook",
    services: [{ name: "notebook", targetPort: main?.ports[0]?.port ?? PORT }],
    landingPath: `/notebook/${namespace}/${notebook}/`,
  };
};
