import type { Problem } from "../../model/index.ts";

/** Namespaces that a message names. */
const MOST_NAMED = 3;

/** Something that the API server lets only those do who have the right. */
export interface Right {
  /** As people say it: `patch pods`. */
  readonly what: string;
  readonly namespace: string;
}

/** Rights that writing would take and the gate does not have, by namespace. What is missing is not asked for, until all is tried again. */
export class MissingRights {
  /** By `what`, then namespace: whether it may be asked for. */
  readonly #missing = new Map<string, Map<string, { isAllowed: boolean }>>();

  mayAsk({ what, namespace }: Right): boolean {
    return this.#missing.get(what)?.get(namespace)?.isAllowed ?? true;
  }

  /** Whether that is news. */
  missed({ what, namespace }: Right): boolean {
    const namespaces = this.#missing.get(what) ?? new Map<string, { isAllowed: boolean }>();
    this.#missing.set(what, namespaces);
    const isNews = !namespaces.has(namespace);
    namespaces.set(namespace, { isAllowed: false });
    return isNews;
  }

  /** From now on each may be asked for, until it is missed again. */
  tryAll(): void {
    for (const namespaces of this.#missing.values()) for (const right of namespaces.values()) right.isAllowed = true;
  }

  /** Whether that is news. */
  had({ what, namespace }: Right): boolean {
    const namespaces = this.#missing.get(what);
    if (namespaces?.delete(namespace) !== true) return false;
    if (namespaces.size === 0) this.#missing.delete(what);
    return true;
  }

  /** What all that is missing comes to: one, however much that is; null: nothing is. */
  problem(provider: string): Problem | null {
    if (this.#missing.size === 0) return null;
    const missing = [...this.#missing]
      .sort()
      .map(([what, namespaces]) => `${what} in ${named([...namespaces.keys()])}`);
    const remedy = `Give it the right (docs/kubernetes.md, "What the gate must be allowed to do") or set writeStatus: false`;
    const message = `What becomes of tasks is not written on their objects: the gate may not ${missing.join(", nor ")}. ${remedy}.`;
    return { subject: provider, code: "status_forbidden", message };
  }
}

function named(namespaces: readonly string[]): string {
  const sorted = [...namespaces].sort();
  const more = sorted.length - MOST_NAMED;
  const names = sorted.slice(0, MOST_NAMED).join(", ");
  return `${sorted.length === 1 ? "namespace" : "namespaces"} ${names}${more > 0 ? ` and ${String(more)} more` : ""}`;
}
