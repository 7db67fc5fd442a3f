import { lookup } from "node:dns/promises";
import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { Home } from "../../config/home.ts";
import { isLoopback } from "../../platform/target-check.ts";
import { existingFolder } from "./home-checks.ts";
import { fail, ok, warn, type Finding } from "./finding.ts";

const NODE_MAJOR = 24;

export function checkNode(version: string = process.versions.node): Finding {
  if (Number(version.split(".")[0]) >= NODE_MAJOR) return ok("node", `Node ${version}`);
  return fail(
    "node",
    `Node ${version} is too old`,
    `Node ${NODE_MAJOR} or newer; bin/taskgate finds the one of the checkout`,
  );
}

const LOW_BYTES = 1024 ** 3;
const NO_BYTES = 100 * 1024 ** 2;

/** Logs and the database live in the state folder. */
export async function checkDisk(home: Home): Promise<Finding> {
  const { bavail, bsize } = await statfs(existingFolder(home.directory));
  const free = bavail * bsize;
  const message = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${home.directory}`;
  if (free >= LOW_BYTES) return ok("disk", message);
  const remedy = "make room: taskgate rm tasks that have ended, or choose another TASKGATE_HOME";
  return free < NO_BYTES ? fail("disk", message, remedy) : warn("disk", message, remedy);
}

/** A clock that was set back lets sessions and codes live longer than they should: files of the future show it. */
export function checkClock(home: Home, now: number = Date.now()): Finding {
  const newest = Math.max(
    0,
    ...[home.database, home.gateFile].map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0),
  );
  const aheadS = Math.round((newest - now) / 1000);
  if (aheadS <= 60) return ok("clock", new Date(now).toISOString());
  return fail(
    "clock",
    `the clock is ${aheadS} s behind what the gate wrote last`,
    "set the clock (timedatectl set-ntp true): logins end by it",
  );
}

/** Ports that tasks open by themselves are found through /proc, which Linux alone has. */
export function checkDiscovery(platform: NodeJS.Platform = process.platform): Finding {
  if (platform !== "linux") {
    return warn(
      "discovery",
      "ports that tasks open by themselves are found on Linux only",
      "name them: taskgate run --service web=http:8888",
    );
  }
  try {
    accessSync("/proc/net/tcp", constants.R_OK);
    return ok("discovery", "ports that tasks open are found");
  } catch {
    return warn(
      "discovery",
      "/proc/net/tcp cannot be read: ports that tasks open are not found",
      "name them: taskgate run --service web=http:8888",
    );
  }
}

/** Descriptors beside those of connections: files, the database, idle connections to tasks, supervisors. */
const SPARE_DESCRIPTORS = 512;

/**
 * A connection takes two descriptors, the visitor's and the task's; node raises its own soft limit to the hard one. `limits`: what
 * /proc/PID/limits says of the process.
 */
export function checkDescriptors({ connections, processes }: Descriptors, limits: () => string = ownLimits): Finding {
  const needed = Math.ceil(connections / processes) * 2 + SPARE_DESCRIPTORS;
  const most = descriptorsIn(limits);
  if (most === null) return ok("descriptors", "how many a process may have open is not known here");
  if (most >= needed) return ok("descriptors", `a process may have ${most} open; ${needed} are the most that it needs`);
  return warn(
    "descriptors",
    `limits.connections is ${connections}, which takes up to ${needed} descriptors in a process that may have ${most}`,
    `ulimit -Hn ${needed} before taskgate up (LimitNOFILE=${needed} in a systemd unit), or a lower limits.connections`,
  );
}

export interface Descriptors {
  /** `limits.connections`. */
  readonly connections: number;
  /** That share them. */
  readonly processes: number;
}

function ownLimits(): string {
  return readFileSync("/proc/self/limits", "utf8");
}

/** The hard limit; Infinity: none. null: nobody says. */
function descriptorsIn(limits: () => string): number | null {
  try {
    const most = /^Max open files +\S+ +(\S+)/m.exec(limits())?.[1];
    if (most === undefined) return null;
    return most === "unlimited" ? Infinity : Number(most);
  } catch {
    return null; // another system than Linux
  }
}

/** Addresses of a name; none: it is not known. */
type Resolve = (name: string) => Promise<readonly string[]>;

const systemResolver: Resolve = async (name) => {
  const found = await lookup(name, { all: true }).catch(() => []); // not known, or nobody to ask: programs fare the same
  return found.map((each) => each.address);
};

/** Whether programs of this machine find the names; browsers know *.localhost by themselves. */
export async function checkNames(domain: string, resolve: Resolve = systemResolver): Promise<Finding> {
  const name = `taskgate-doctor.${domain}`;
  const addresses = await resolve(name);
  const isLocal = domain === "localhost" || domain.endsWith(".localhost");
  if (addresses.length === 0) {
    return isLocal
      ? warn(
          "names",
          `*.${domain} is not resolved here: browsers and curl know it by themselves, Python and many programs do not`,
          "dial the address with a Host header, as taskgate run prints it",
        )
      : fail(
          "names",
          `*.${domain} is not resolved here`,
          `a wildcard DNS record for *.${domain} that leads to the gate`,
        );
  }
  if (isLocal && addresses.some((address) => !isLoopback(address))) {
    return fail(
      "names",
      `*.${domain} resolves to ${addresses.join(", ")}: not this machine`,
      "ask whoever runs the resolver; RFC 6761 keeps .localhost for loopback",
    );
  }
  return ok("names", `*.${domain} resolves to ${addresses.join(", ")}`);
}
