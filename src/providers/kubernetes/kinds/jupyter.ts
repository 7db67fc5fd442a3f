import { declaredPort } from "../declared-port.ts";
import type { PodKind } from "./pod-kind.ts";

const PORT = 8888;
const PREFIX = "hub.jupyter.org/";

/** A user's server that JupyterHub's KubeSpawner (7) started. */
export const jupyter: PodKind = ({ name, labels, annotations, ports }) => {
  // Labels hold what is left of a name; the annotations have it whole.
  const user = annotations[`${PREFIX}username`];
  if (user === undefined || labels[`${PREFIX}username`] === undefined) return null;
  const server = annotations[`${PREFIX}servername`] ?? "";
  const base = ["user", user, ...(server === "" ? [] : [server])].map(escaped).join("/");
  return {
    group: name,
    // Pods' names hold hashes, which keep users apart whose names are alike.
    name: ["jupyter", user, server]
      .flatMap(
        (text) =>
          text
            .slice(0, 63)
            .toLowerCase()
            .match(/[a-z0-9]+/g) ?? [],
      )
      .join("-")
      .slice(0, 63)
      .replace(/-$/, ""),
    label: "notebook",
    owner: user,
    services: [{ name: "notebook", targetPort: declaredPort(ports, "notebook-port", PORT) ?? PORT }],
    landingPath: `/${base}/`,
  };
};

/** As JupyterHub does it: all but letters, digits and `_.-~@`. Never throws: a lone surrogate is not what it was. */
function escaped(text: string): string {
  const plain = encodeURIComponent(text.toWellFormed());
  const rest = plain.replace(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
  return rest.replaceAll("%40", "@");
}
