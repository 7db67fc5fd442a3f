import { join } from "node:path";
import { GatewayError, hostPort } from "../../model/index.ts";
import type { Clock } from "../clock.ts";
import { writtenCredentials, type Credentials } from "./credentials.ts";
import { fileText, readBounded, type TextSource } from "./text-source.ts";

/** Where an API server is, whom to believe there, and who to be. */
export interface Cluster {
  /** `https:`, or `http:` on this machine. */
  readonly server: URL;
  /** PEM of the authorities to believe; null: those that Node knows. */
  readonly authority: TextSource | null;
  /** The name that its certificate has to have; null: the server's host. */
  readonly serverName: string | null;
  /** Any certificate will do. */
  readonly insecure: boolean;
  readonly credentials: Credentials;
  /** To act as somebody else. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Where things are that say no namespace. */
  readonly namespace: string;
}

const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Whether this process runs in a pod that may ask its cluster. */
export function isInCluster(environment: NodeJS.ProcessEnv): boolean {
  return environment.KUBERNETES_SERVICE_HOST !== undefined && environment.KUBERNETES_SERVICE_HOST !== "";
}

/** The cluster whose pod this process runs in, by its service account. Its token and authorities are read again as they change. */
export async function inCluster(
  environment: NodeJS.ProcessEnv,
  clock: Clock,
  folder: string = SERVICE_ACCOUNT,
): Promise<Cluster> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = environment;
  if (host === undefined) throw new GatewayError("unavailable", "this process does not run in a cluster");
  return {
    server: new URL(`https://${hostPort(host, Number(port))}`),
    authority: fileText(join(folder, "ca.crt"), clock),
    serverName: null,
    insecure: false,
    credentials: writtenCredentials({ token: fileText(join(folder, "token"), clock) }),
    headers: {},
    namespace: await readBounded(join(folder, "namespace")).then(
      (text) => text.trim(),
      () => "default",
    ),
  };
}
