import type { Problem } from "../../model/index.ts";
import { KubernetesError } from "../../platform/kubernetes/kubernetes-error.ts";

/** Namespaces that a message names. */
const MOST_NAMED = 3;

/** Something that the API server lets only those do who have the right. */
export interface Right {
  /** As people say it: `patch pods`. */
  readonly what: string;
  readonly namespace: string;
}

/** Rights that writing would take and the gate does not have, by namespace: each is asked for again after a while. */
export class MissingRights {
  /** By `what`, then namespace: epoch ms until which it is not asked for again. */
  readonly #until = new Map<string, Map<string, number>>();

  isMissing({ what, namespace }: Right, now: number): boolean {
    const until = this.#until.get(what)?.get(namespace);
    return until !== undefined && until > now;
  }

  /** Whether that is news. */
  missed({ what, namespace }: Right, until: number): boolean {
    const namespaces = this.#until.get(what) ?? new Map<string, number>();
    this.#until.set(what, namespaces);
    const isNews = !namespaces.has(namespace);
    namespaces.set(namespace, until);
    return isNews;
  }

  /** Whether that is news. */
  had({ what, namespace }: Right): boolean {
    const namespaces = this.#until.get(what);
    if (namespaces?.delete(namespace) !== true) return false;
    if (namespaces.size === 0) this.#until.delete(what);
    return true;
  }

  /** What all that is missing comes to: one, however much that is; null: nothing is. */
  problem(provider: string): Problem | null {
    if (this.#until.size === 0) return null;
    const missing = [...this.#until].sort().map(([what, namespaces]) => `${what} in ${named([...namespaces.keys()])}`);
    const remedy = `Give it the right (docs/kubernetes.md, "What the gate must be allowed to do") or set writeStatus: false`;
    const message = `What becomes of tasks is not written on their objects: the gate may not ${missing.join(", nor ")}. ${remedy}.`;
    return { subject: provider, code: "status_forbidden", message };
  }
}

/** Whether a call failed because a right is missing that would let it; others may refuse one object for what it is. */
export function isMissingRight(error: unknown): boolean {
  // As the authorizers of the API server say it; admission, quotas and namespaces that end refuse by 403 too, in other words.
  return error instanceof KubernetesError && error.status === 403 && / cannot \S+ resource /.test(error.message);
}

function named(namespaces: readonly string[]): string {
  const sorted = [...namespaces].sort();
  const more = sorted.length - MOST_NAMED;
  const names = sorted.slice(0, MOST_NAMED).join(", ");
  return `${sorted.length === 1 ? "namespace" : "namespaces"} ${names}${more > 0 ? ` and ${String(more)} more` : ""}`;
}
