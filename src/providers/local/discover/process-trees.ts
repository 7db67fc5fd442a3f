import type { ProcessEntry } from "./process-table.ts";

/**
 * Which root each process belongs to: the nearest ancestor that is one, else the root that leads its session (which catches what was
 * reparented to init), else the root of its session's leader. Processes outside all trees are left out.
 */
export function groupByRoot(
  processes: ReadonlyMap<number, ProcessEntry>,
  roots: readonly number[],
): ReadonlyMap<number, readonly ProcessEntry[]> {
  const trees = new Map<number, ProcessEntry[]>(roots.map((root) => [root, []]));
  const known = new Map<number, number | null>();
  for (const entry of processes.values()) {
    const root = rootOf(entry, { processes, trees, known });
    if (root !== null) trees.get(root)?.push(entry);
  }
  return trees;
}

interface Search {
  readonly processes: ReadonlyMap<number, ProcessEntry>;
  readonly trees: ReadonlyMap<number, unknown>;
  /** By pid: its root. An entry under search is null, so that loops (pids used again during the scan) end. */
  readonly known: Map<number, number | null>;
}

function rootOf(entry: ProcessEntry, search: Search): number | null {
  const before = search.known.get(entry.pid);
  if (before !== undefined) return before;
  search.known.set(entry.pid, null);
  const root = search.trees.has(entry.pid) ? entry.pid : inheritedRoot(entry, search);
  search.known.set(entry.pid, root);
  return root;
}

function inheritedRoot(entry: ProcessEntry, search: Search): number | null {
  const parent = search.processes.get(entry.parent);
  const byParent = parent === undefined ? null : rootOf(parent, search);
  if (byParent !== null) return byParent;
  if (search.trees.has(entry.session)) return entry.session;
  const leader = entry.session === entry.pid ? undefined : search.processes.get(entry.session);
  return leader === undefined ? null : rootOf(leader, search);
}
