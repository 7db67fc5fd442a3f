import type { Leadership } from "../store/leadership.ts";

/** Leadership that can be asked what this gate leads. */
export interface WatchedLeadership extends Leadership {
  /** By name, of all that it would lead: whether it does. */
  readonly leading: ReadonlyMap<string, boolean>;
}

export function watchLeadership(inner: Leadership): WatchedLeadership {
  const leading = new Map<string, boolean>();
  return {
    leading,
    lead(name, work) {
      const led = inner.lead(name, async (signal, fence) => {
        leading.set(name, true);
        try {
          await work(signal, fence);
        } finally {
          leading.set(name, false);
        }
      });
      leading.set(name, leading.get(name) ?? false);
      return {
        async [Symbol.asyncDispose]() {
          await led[Symbol.asyncDispose]();
          leading.delete(name);
        },
      };
    },
  };
}
