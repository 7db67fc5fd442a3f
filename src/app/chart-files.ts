import { LimitsConfig } from "../config/schema.ts";
import { buildBootstrap, secretFiles } from "../dataplanes/envoy/bootstrap.ts";

/** Where the pods of the chart's Envoys have what they start with, and their certificates. */
const CONFIG_FOLDER = "/etc/envoy/config";
const TLS_FOLDER = "/etc/envoy/tls";
/** What the chart puts a name in the place of. */
const GATE_HOST = "GATE_HOST";

/** Files of the Helm chart that are made from the code, by name. */
export function chartFiles(): Readonly<Record<string, object>> {
  const { client, authority } = secretFiles(TLS_FOLDER);
  const bootstrap = buildBootstrap({
    fleet: "envoy",
    admin: { host: "127.0.0.1", port: 9901 },
    control: [{ host: GATE_HOST, port: 7083 }],
    gate: null,
    tls: { client: `${CONFIG_FOLDER}/client.json`, authority: `${CONFIG_FOLDER}/authority.json` },
    connections: LimitsConfig.parse({}).connections,
  });
  return { "bootstrap.json": bootstrap, "client.json": client, "authority.json": authority };
}
