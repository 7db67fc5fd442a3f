/** Label of all that gates make elsewhere, but for listeners of Gateways: whose it is. */
export const GATE_LABEL = "taskgate.dev/gate";

const PORT_PREFIX = "taskgate.dev/port-";

/** Annotation of a Gateway or ListenerSet: whose listener the port's is. It is written with the listener, at once. */
export function portAnnotation(port: number): string {
  return `${PORT_PREFIX}${String(port)}`;
}

/** The port that an annotation of that key tells of; null: it is another one. */
export function portOfAnnotation(key: string): number | null {
  if (!key.startsWith(PORT_PREFIX)) return null;
  const text = key.slice(PORT_PREFIX.length);
  return /^\d+$/.test(text) ? Number(text) : null;
}
