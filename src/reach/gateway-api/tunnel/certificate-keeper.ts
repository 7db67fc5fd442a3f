import type { ReachAdvice } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { pauseMs } from "../../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../../platform/kubernetes/client.ts";
import { KubernetesError } from "../../../platform/kubernetes/kubernetes-error.ts";
import type { KubernetesObject } from "../../../platform/kubernetes/objects.ts";
import type { Resource } from "../../../platform/kubernetes/resource.ts";
import type { Logger } from "../../../platform/logger.ts";
import { pause } from "../../../platform/pause.ts";
import { GATE_LABEL } from "../../../platform/kubernetes/gate-marks.ts";
import { isMarked } from "../marks.ts";
import type { Tunnel } from "./tunnel.ts";

interface TlsSecret extends KubernetesObject {
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

const SECRETS: Resource<TlsSecret> = { apiVersion: "v1", kind: "Secret", plural: "secrets", namespaced: true };

export interface CertificateKeeperDeps {
  readonly client: KubernetesClient;
  readonly tunnel: Tunnel;
  /** On the Secrets that it makes. */
  readonly mark: string;
  /** Of the Gateways. */
  readonly namespaces: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Somebody may take it away, or write another: it is looked at as often. */
const LOOK_MS = 60_000;
const FAILURES = { firstPauseMs: 500, mostPauseMs: 60_000 };

/** Keeps a Secret with a certificate that is good beside each Gateway, made and renewed by the gate that leads. */
export class CertificateKeeper {
  readonly #deps: CertificateKeeperDeps;
  /** By namespace: why the last look failed. */
  readonly #failed = new Map<string, string>();

  constructor(deps: CertificateKeeperDeps) {
    this.#deps = deps;
  }

  /** Writes while this gate leads; resolves once `signal` aborts. */
  async lead(signal: AbortSignal): Promise<void> {
    const { clock, namespaces } = this.#deps;
    for (let failures = 0; !signal.aborted;) {
      const all = await Promise.all(namespaces.map((namespace) => this.#look(namespace, signal)));
      failures = all.every((isWell) => isWell) ? 0 : failures + 1;
      await pause(clock, failures === 0 ? LOOK_MS : pauseMs(failures, FAILURES), signal);
    }
  }

  get advice(): readonly ReachAdvice[] {
    return [...this.#failed].map(([namespace, why]) => ({
      level: "fail",
      code: "gateway_certificate",
      message: `the certificate by which Gateways of namespace ${namespace} end TLS cannot be kept, so what is plain text is not reached through them: ${why}`,
      remedy: `give the gate the right create for secrets of namespace ${namespace}, get and update for that of the name ${this.#deps.tunnel.certificate}, or gateway.tls: off`,
    }));
  }

  /** Whether all is well there. */
  async #look(namespace: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#keep(namespace, signal);
      this.#failed.delete(namespace);
      return true;
    } catch (error) {
      if (signal.aborted) return true;
      const why = error instanceof Error ? error.message : String(error);
      if (!this.#failed.has(namespace))
        this.#deps.logger.warn({ namespace, err: error }, "no certificate for a Gateway");
      this.#failed.set(namespace, why);
      return false;
    }
  }

  async #keep(namespace: string, signal: AbortSignal): Promise<void> {
    const { client, tunnel, mark } = this.#deps;
    const name = tunnel.certificate;
    const there = await client.get(SECRETS, { namespace, name }, signal);
    if (there !== null && !isMarked(there, mark))
      throw new Error(`Secret ${namespace}/${name} is somebody else's: call the provider something else`);
    const shown = Buffer.from(there?.data?.["tls.crt"] ?? "", "base64").toString("utf8");
    if (there !== null && tunnel.isGood(shown)) return;
    const { cert, key } = await tunnel.issue();
    const data = { "tls.crt": base64(cert), "tls.key": base64(key) };
    try {
      if (there !== null) await client.replace(SECRETS, { ...there, data }, signal);
      else {
        const metadata = { name, namespace, labels: { [GATE_LABEL]: mark } };
        await client.create(SECRETS, { metadata, type: "kubernetes.io/tls", data }, signal);
      }
    } catch (error) {
      // Another gate that led a moment ago was faster: the next look says whether its one is good.
      if (!(error instanceof KubernetesError && error.status === 409)) throw error;
    }
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
