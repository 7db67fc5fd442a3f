/** When a service was last used by somebody, as opposed to by a page that nobody looks at. */
export interface LastUse {
  /** Epoch ms. */
  readonly at: number;
  /** `realm/name`; null: nobody said who they are. */
  readonly by: string | null;
}

/** The later of two. */
export function laterUse<T extends LastUse | undefined>(a: LastUse | undefined, b: T): LastUse | T {
  if (a === undefined || b === undefined) return a ?? b;
  return b.at > a.at ? b : a;
}
