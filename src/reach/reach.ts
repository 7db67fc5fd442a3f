import type { Provider } from "../providers/provider.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Store } from "../store/store.ts";

export interface ReachContext {
  readonly leadership: Leadership;
  readonly store: Store;
}

/**
 * Makes a provider's endpoints dialable from here: takes a provider, gives one of the same name back. Owns what it makes in the
 * cluster, and its clean-up; only the leader makes things, followers read the allotments.
 */
export type Reach = (inner: Provider, context: ReachContext) => Provider;

/** Endpoints that can be dialled as they are. */
export const direct: Reach = (inner) => inner;
