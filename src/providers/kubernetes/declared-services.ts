import type { AnnotatedService } from "./annotations.ts";
import type { DeclaredPort } from "./declared-port.ts";

/** What a port speaks, by the first word of its name or of its `appProtocol`; null: nothing that the gate could carry by itself. */
const PROTOCOLS: Readonly<Record<string, AnnotatedService["protocol"] | null>> = {
  grpc: "grpc",
  tcp: "tcp",
  ssh: "tcp",
  redis: "tcp",
  mysql: "tcp",
  mongo: "tcp",
  postgres: "tcp",
  postgresql: "tcp",
  tls: "tls",
  // Whether its certificate counts, and whose, has to be said: in `services`.
  https: null,
};

/** A service for each port that is declared, for who says nothing more. Each name and port once. */
export function declaredServices(ports: readonly DeclaredPort[]): readonly AnnotatedService[] {
  const services = new Map<string, AnnotatedService>();
  const seen = new Set<number>();
  for (const { name, port, appProtocol } of ports) {
    const word = /^[a-z0-9]+/.exec((appProtocol ?? name ?? "").replace(/^kubernetes\.io\//, ""))?.[0] ?? "";
    const protocol = Object.hasOwn(PROTOCOLS, word) ? PROTOCOLS[word] : "http";
    const called = name ?? `port-${String(port)}`;
    if (protocol === null || protocol === undefined || seen.has(port) || services.has(called)) continue;
    seen.add(port);
    services.set(called, { name: called, protocol, guard: "gate", targetPort: port, policy: {} });
  }
  return [...services.values()];
}
