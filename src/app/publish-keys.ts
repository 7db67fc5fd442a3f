import type { AuthKeys } from "../auth/auth-keys.ts";
import type { Reconcile } from "../core/reconcile.ts";
import type { Built, TableState } from "../core/table-state.ts";
import type { DataPlane } from "../dataplanes/dataplane.ts";

/** Tells planes of session keys, and the keys when all planes have them. */
export interface KeyPublication extends Disposable {
  /** A table went out. */
  published(built: Built): void;
  /** From now on changes of the keys lead to a table. */
  follow(reconcile: Pick<Reconcile, "touch">): void;
}

/**
 * A key that is only published becomes one that signs once every instance of the plane serves a table that holds it. Disposing stops
 * listening.
 */
export function publishKeys({
  keys,
  state,
  plane,
}: {
  readonly keys: AuthKeys;
  readonly state: Pick<TableState, "setKeys" | "table">;
  readonly plane: Pick<DataPlane, "observe">;
}): KeyPublication {
  const scope = new DisposableStack();
  state.setKeys(keys.published());
  /** The keys of the last table that changed them, and its revision. */
  let sent: { readonly seq: number; readonly kids: readonly string[] } | null = null;
  let applied = -1;

  function review(): void {
    if (sent !== null && applied >= sent.seq) keys.acknowledge(sent.kids);
  }

  scope.use(
    plane.observe(({ instances }) => {
      const connected = [...instances.values()].filter((instance) => instance.connected);
      applied = connected.length === 0 ? -1 : Math.min(...connected.map((instance) => instance.applied));
      review();
    }),
  );
  return {
    published({ diff }) {
      if (diff.rest) sent = { seq: diff.to.seq, kids: [...state.table.keys.keys()] };
      review();
    },
    follow(reconcile) {
      scope.use(
        keys.observe(() => {
          state.setKeys(keys.published());
          reconcile.touch();
        }),
      );
    },
    [Symbol.dispose]: () => scope[Symbol.dispose](),
  };
}
