import type { Logger } from "../../../platform/logger.ts";
import { getPage, greetPort } from "./ask-port.ts";
import { parseCommandLine } from "./command-line.ts";
import { answers, dialAddress } from "./dial-address.ts";
import type { FoundPort, Recognised } from "./found-port.ts";
import { readListeningSockets } from "./listening-sockets.ts";
import { createPortScan, findOwner } from "./port-scan.ts";
import { readCommand, readStat } from "./process-table.ts";
import type { PortOwner } from "./recognise.ts";
import { recognisePort } from "./recognise.ts";

export type { FoundPort, Recognised } from "./found-port.ts";

/** Finds and recognises what listens on this machine. Holds nothing that needs closing. */
export interface Discover {
  /** Listening TCP ports by root pid: of each root's process tree (descendants, and same session). */
  listening(roots: readonly number[]): Promise<ReadonlyMap<number, readonly FoundPort[]>>;
  /** The address that a port of this machine listens on as one would dial it (127.0.0.1 for 0.0.0.0), null if nothing listens. */
  whoListens(
    port: number,
  ): Promise<{ readonly ip: string; readonly pid: number | null; readonly command: readonly string[] } | null>;
  /** What it is: by the owner's command line and by asking the port. hidden: internal plumbing, not a service. null while it does not answer. */
  recognise(found: FoundPort, signal: AbortSignal): Promise<Recognised | null>;
}

export interface DiscoverDeps {
  readonly logger: Logger;
}

/** Nothing runs between calls. */
export function createDiscover(deps: DiscoverDeps): Discover {
  const scan = createPortScan();
  const linux = process.platform === "linux";
  let told = false;
  return {
    async listening(roots) {
      if (linux) return scan.listening(roots);
      if (!told) deps.logger.info({ platform: process.platform }, "ports of tasks are found on Linux only");
      told = true;
      return new Map();
    },
    whoListens: (port) => (linux ? findListener(port) : findByConnecting(port)),
    recognise(found, signal) {
      return recognisePort(
        { port: found.port, ...commandOf(found) },
        {
          open: () => answers(found.ip, found.port),
          greet: () => greetPort(found, signal),
          page: (path) => getPage(found, path, signal),
        },
      );
    },
  };
}

async function findListener(port: number): ReturnType<Discover["whoListens"]> {
  const sockets = (await readListeningSockets()).filter((socket) => socket.port === port);
  if (sockets.length === 0) return null;
  const pid = await findOwner(new Set(sockets.map((socket) => socket.inode)));
  return { ip: await dialAddress(sockets, []), pid, command: pid === null ? [] : readCommand(pid) };
}

async function findByConnecting(port: number): ReturnType<Discover["whoListens"]> {
  for (const ip of ["127.0.0.1", "::1"]) {
    if (await answers(ip, port)) return { ip, pid: null, command: [] };
  }
  return null;
}

/** Generations of helpers between a process that Python's multiprocessing made and whoever it works for. */
const MOST_GENERATIONS = 8;
const SPAWNED = /\bmultiprocessing\.(spawn|forkserver|popen_|resource_)|--multiprocessing-fork|\bloky\.backend/;

/** A process that multiprocessing made has a command line that tells nothing: the one of whoever made it counts. */
function commandOf({ pid, command }: FoundPort): Pick<PortOwner, "command" | "spawned"> {
  let argv = command;
  let at = pid;
  for (let generation = 0; SPAWNED.test(argv.join(" ")) && generation < MOST_GENERATIONS; generation += 1) {
    at = readStat(at)?.parent ?? 0;
    argv = readCommand(at);
  }
  return { command: parseCommandLine(argv), spawned: argv !== command };
}
