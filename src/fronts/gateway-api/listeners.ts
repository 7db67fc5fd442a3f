import { portAnnotation, portOfAnnotation } from "../../platform/kubernetes/gate-marks.ts";
import { GATEWAY_GROUP, type Gateway, type Listener } from "../../platform/kubernetes/gateway-objects.ts";

/** As the Gateway API's own definitions have it; one that was raised is none of a front's business. */
export const MOST_LISTENERS = 64;

/** A listener of a raw port, for routes of that namespace alone. */
export function listenerFor(port: number, namespace: string): Listener {
  return {
    name: `taskgate-${String(port)}`,
    port,
    protocol: "TCP",
    allowedRoutes: {
      kinds: [{ group: GATEWAY_GROUP, kind: "TCPRoute" }],
      namespaces: { from: "Selector", selector: { matchLabels: { "kubernetes.io/metadata.name": namespace } } },
    },
  };
}

export interface PlannedListeners {
  /** The Gateway as it is to be; null: it is so. */
  readonly write: Gateway | null;
  /** By port: the listener that serves it now. */
  readonly serving: ReadonlyMap<number, string>;
  /** Ports that nothing can listen at, and why. */
  readonly refused: ReadonlyMap<number, string>;
}

/**
 * Which listeners the Gateway is to have for `ports`. Those of somebody else stay as they are; one for TCP at a wanted port serves it. `keep`:
 * of ports whose listener is still led to, which goes after its route.
 */
export function planListeners(gateway: Gateway, { ports, keep, mark, namespace }: ListenersInput): PlannedListeners {
  const present = gateway.spec?.listeners ?? [];
  const annotations = gateway.metadata.annotations ?? {};
  const isOwn = ({ name, port }: Listener): boolean =>
    annotations[portAnnotation(port)] === mark && name === `taskgate-${String(port)}`;
  const goes = (listener: Listener): boolean => isOwn(listener) && !ports.has(listener.port) && !keep(listener.port);
  const staying = present.filter((listener) => !goes(listener));
  const serving = new Map<number, string>();
  const refused = new Map<number, string>();
  const added: Listener[] = [];
  for (const port of ports) {
    const there = staying.find((listener) => listener.port === port && listener.protocol !== "UDP");
    if (there?.protocol === "TCP") serving.set(port, there.name);
    else if (there !== undefined) refused.set(port, `its listener ${there.name} is for ${there.protocol}`);
    else if (staying.length + added.length >= MOST_LISTENERS)
      refused.set(port, `it has its ${String(MOST_LISTENERS)} listeners`);
    else added.push(listenerFor(port, namespace));
  }
  const write = added.length > 0 || staying.length < present.length ? written(gateway, staying, added, mark) : null;
  return { write, serving, refused };
}

export interface ListenersInput {
  readonly ports: ReadonlySet<number>;
  readonly keep: (port: number) => boolean;
  readonly mark: string;
  readonly namespace: string;
}

/** null: the Gateway would be left without listeners, which it may not be; the last one stays. */
function written(
  gateway: Gateway,
  staying: readonly Listener[],
  added: readonly Listener[],
  mark: string,
): Gateway | null {
  const listeners = [...staying, ...added];
  if (listeners.length === 0) return null;
  const ports = new Set(listeners.map(({ port }) => port));
  const kept = Object.entries(gateway.metadata.annotations ?? {}).filter(([name, value]) => {
    const port = portOfAnnotation(name);
    return value !== mark || port === null || ports.has(port);
  });
  const own = added.map(({ port }) => [portAnnotation(port), mark] as const);
  return {
    ...gateway,
    metadata: { ...gateway.metadata, annotations: Object.fromEntries([...kept, ...own]) },
    spec: { ...gateway.spec, listeners },
  };
}
