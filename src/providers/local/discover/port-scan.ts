import { dialAddress } from "./dial-address.ts";
import type { FoundPort } from "./found-port.ts";
import { readListeningSockets } from "./listening-sockets.ts";
import type { ListeningSocket } from "./listening-sockets.ts";
import { readCommand, readProcesses, readSocketInodes } from "./process-table.ts";
import type { ProcessEntry } from "./process-table.ts";
import { groupByRoot } from "./process-trees.ts";

/** One scan serves all roots. Linux only. */
export interface PortScan {
  listening(roots: readonly number[]): Promise<ReadonlyMap<number, readonly FoundPort[]>>;
}

/** Remembers between scans what has not changed; there is nothing to close. */
export function createPortScan(): PortScan {
  let memory: ReadonlyMap<number, TreeMemory> = new Map();
  return {
    async listening(roots) {
      const [sockets, processes] = await Promise.all([readListeningSockets(), readProcesses()]);
      const next = new Map<number, TreeMemory>();
      for (const [root, tree] of groupByRoot(processes, roots)) {
        next.set(root, await scanTree(tree, sockets, memory.get(root)));
      }
      memory = next;
      return new Map([...next].map(([root, { ports }]) => [root, ports]));
    },
  };
}

/** What a scan of one tree found, and leaves for the next one. */
interface TreeMemory {
  /** Descriptors are the costly part: the same processes and the same listening sockets have the same ports. */
  readonly key: string;
  readonly ports: readonly FoundPort[];
  /** By the inodes of a port: finding an address out may take a connection. */
  readonly addresses: ReadonlyMap<string, string>;
}

async function scanTree(
  tree: readonly ProcessEntry[],
  sockets: readonly ListeningSocket[],
  before: TreeMemory | undefined,
): Promise<TreeMemory> {
  const listening = sockets.map((socket) => socket.inode);
  const key = JSON.stringify([listening, tree.map((entry) => [entry.pid, entry.start])]);
  if (before?.key === key) return before;
  const owners = await ownersOf(tree, new Set(listening));
  const held = Map.groupBy(
    sockets.filter((socket) => owners.has(socket.inode)),
    (socket) => socket.port,
  );
  const addresses = new Map<string, string>();
  const ports: FoundPort[] = [];
  for (const [port, own] of held) {
    const others = sockets.filter((socket) => socket.port === port && !own.includes(socket));
    const inodes = [own, others].map((part) => part.map((socket) => socket.inode).join()).join(" ");
    const ip = before?.addresses.get(inodes) ?? (await dialAddress(own, others));
    addresses.set(inodes, ip);
    const pid = owners.get(own[0]?.inode ?? "") ?? 0;
    ports.push({ port, ip, pid, command: readCommand(pid) });
  }
  return { key, addresses, ports: ports.sort((a, b) => a.port - b.port) };
}

/** By inode: who holds it. Of several (a server and the workers that it forked) the oldest, whose command line says what it is. */
async function ownersOf(
  entries: readonly ProcessEntry[],
  inodes: ReadonlySet<string>,
): Promise<ReadonlyMap<string, number>> {
  const owners = new Map<string, number>();
  for (const entry of entries.toSorted((a, b) => a.start - b.start || a.pid - b.pid)) {
    for (const inode of await readSocketInodes(entry.pid, inodes)) {
      if (!owners.has(inode)) owners.set(inode, entry.pid);
    }
  }
  return owners;
}

/** Whoever of this machine's processes holds one of these sockets, as far as the gate may see; null if none. */
export async function findOwner(inodes: ReadonlySet<string>): Promise<number | null> {
  const processes = await readProcesses();
  const owners = await ownersOf([...processes.values()], inodes);
  return [...owners.values()][0] ?? null;
}
