import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Certificates, Client } from "./certificates.ts";
import type { Plan } from "./plan.ts";

/** Writes the file by which `client` finds the API and proves who it is, all of it inside; its path. */
export function writeKubeconfig(plan: Plan, certificates: Certificates, client: Client): string {
  const path = client === "admin" ? adminKubeconfig(plan.folder) : join(plan.folder, `${client}.kubeconfig`);
  const { certificate, key } = certificates.clients[client];
  const base64 = (file: string): string => readFileSync(file).toString("base64");
  const name = `taskgate-${plan.name}`;
  // JSON is YAML.
  const content = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name,
        cluster: { server: plan.server, "certificate-authority-data": base64(certificates.authority.certificate) },
      },
    ],
    users: [{ name: client, user: { "client-certificate-data": base64(certificate), "client-key-data": base64(key) } }],
    contexts: [{ name, context: { cluster: name, user: client } }],
    "current-context": name,
  };
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  return path;
}

/** Path of the one that people and tests use: it may do everything. */
export function adminKubeconfig(folder: string): string {
  return join(folder, "kubeconfig");
}
