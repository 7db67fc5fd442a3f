import { X509Certificate } from "node:crypto";
import { isCode, type Policy, type Task } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { issueCertificate, makeAuthority, makeKeys, type Pem } from "../../../platform/x509-authority.ts";
import type { Store } from "../../../store/store.ts";
import { isPlainText } from "../preflight.ts";

const KIND = "authorities";
const KEY = "gateway";
/** What Gateways are called that end TLS for the gate, by nobody else: `internal` is nobody's (ICANN, 2024). */
const NAME = "gateway.taskgate.internal";
const DAY_MS = 86_400_000;
const AUTHORITY_MS = 10 * 365 * DAY_MS;
const CERTIFICATE_MS = 90 * DAY_MS;
/** Of a certificate, what has to be left; of an authority, more than any of its certificates has. */
const RENEW_MS = 30 * DAY_MS;

/** How TLS is spoken from the gate to Gateways that end it. */
export interface Tunnel {
  /** Name of the Secret with the certificate, in the namespace of each Gateway. */
  readonly certificate: string;
  /** For services that would be plain text. */
  readonly upstreamTls: NonNullable<Policy["upstreamTls"]>;
  /** A certificate for a Gateway. Never logged. */
  issue(): Promise<Pem>;
  /** Whether that one is of the same authority, and has time left. */
  isGood(certificate: string): boolean;
}

/**
 * The tunnel of a provider. Its authority is kept in the store, so that all gates believe the same; in the cluster is no more than what the Gateway
 * shows. Throws GatewayError.
 */
export async function openTunnel(provider: string, store: Store, clock: Clock): Promise<Tunnel> {
  const authority = await keepAuthority(store, clock);
  const root = new X509Certificate(authority.cert);
  return {
    // Known beforehand: rights are given by name.
    certificate: `taskgate-tunnel-${provider}`,
    upstreamTls: { serverName: NAME, verify: "full", authority: authority.cert },
    async issue() {
      const now = clock.now();
      const validity = { notBefore: now - DAY_MS, notAfter: now + CERTIFICATE_MS };
      return issueCertificate(authority, [NAME], { ...validity, keys: await makeKeys() });
    },
    isGood(certificate) {
      try {
        const shown = new X509Certificate(certificate);
        return shown.verify(root.publicKey) && Date.parse(shown.validTo) - clock.now() > RENEW_MS;
      } catch {
        return false; // no certificate at all
      }
    },
  };
}

async function keepAuthority(store: Store, clock: Clock): Promise<Pem> {
  for (;;) {
    const held = await store.get<Pem>(KIND, KEY);
    const now = clock.now();
    const isCurrent =
      held !== null && Date.parse(new X509Certificate(held.value.cert).validTo) - now > CERTIFICATE_MS + RENEW_MS;
    if (isCurrent) return held.value;
    const validity = { notBefore: now - DAY_MS, notAfter: now + AUTHORITY_MS };
    const made = await makeAuthority("taskgate Gateways", [NAME], validity);
    try {
      await store.put(KIND, KEY, made, { version: held?.version ?? null });
      return made;
    } catch (error) {
      if (!isCode(error, "conflict")) throw error; // another gate was first: its one it is
    }
  }
}

/** The task as it is dialled: services that go through the tunnel are dialled by TLS. */
export function withTunnel(task: Task, tunnel: Tunnel | null): Task {
  if (tunnel === null || !task.services.some(isPlainText)) return task;
  const { upstreamTls } = tunnel;
  const services = task.services.map((service) =>
    isPlainText(service) ? { ...service, policy: { ...service.policy, upstreamTls } } : service,
  );
  return { ...task, services };
}
