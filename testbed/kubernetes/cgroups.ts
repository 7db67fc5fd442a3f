import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "./until.ts";

/** A tree of cgroups that this machine has. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly path: string;
  /** What it is mounted with: its controllers. Nothing in version 2. */
  readonly options: string;
}

const ROOT = "/sys/fs/cgroup";
/** In version 2 only groups without groups have processes: here are the node's own. */
const LEAF = "node";
const GONE_MS = 10_000;

/** The machine's hierarchies as /proc/self/mountinfo has them: those of version 1, or the one of version 2 where it stands alone. */
export function parseHierarchies(mountinfo: string): readonly Hierarchy[] {
  const mounts = mountinfo.split("\n").flatMap((line): Hierarchy[] => {
    const [front = "", back = ""] = line.split(" - ");
    const path = front.split(" ")[4] ?? "";
    const [type, , options = ""] = back.split(" ");
    if (type === "cgroup2") return [{ version: 2, path, options: "" }];
    return type === "cgroup" ? [{ version: 1, path, options: controllersOf(options) }] : [];
  });
  const alone = mounts.filter(({ version, path }) => version === 2 && path === ROOT);
  return alone.length > 0 ? alone : mounts.filter(({ version }) => version === 1);
}

/** Of a file system's options, those that say which controllers it has: `rw` and the like are in front. */
function controllersOf(options: string): string {
  const general = new Set(["rw", "ro", "xattr", "clone_children", "noprefix"]);
  const own = options.split(",").filter((option) => !general.has(option) && !option.startsWith("release_agent="));
  return own.some((option) => option.startsWith("name=")) ? ["none", ...own].join(",") : own.join(",");
}

/** Makes group `name` in each hierarchy. Throws where this machine has none. */
export function makeCgroups(name: string): void {
  const hierarchies = ownHierarchies();
  if (hierarchies.length === 0) throw new Error(`this machine has no cgroups at ${ROOT}`);
  for (const { version, path } of hierarchies) {
    const group = join(path, name);
    mkdirSync(group, { recursive: true });
    if (version === 2) mkdirSync(join(group, LEAF), { recursive: true });
    // A new group of version 1 may use no processor and no memory until it is said which.
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      if (version === 1 && existsSync(join(group, file))) copy(join(path, file), join(group, file));
    }
  }
}

function copy(from: string, to: string): void {
  writeFileSync(to, readFileSync(from));
}

/**
 * The command, to be followed by another one, by which that one is in group `name` and takes it for the root of all groups.
 */
export function enterCgroups(name: string): readonly string[] {
  const hierarchies = ownHierarchies();
  const joinRoot = hierarchies.map(({ path }) => `echo 0 > ${path}/${name}/cgroup.procs`);
  const below = hierarchies
    .filter(({ version }) => version === 2)
    .flatMap(({ path }) => [
      `echo 0 > ${path}/${name}/${LEAF}/cgroup.procs`,
      `read -r controllers < ${path}/${name}/cgroup.controllers || controllers=`,
      `for one in $controllers; do echo +$one > ${path}/${name}/cgroup.subtree_control; done`,
    ]);
  const inner = ["sh", "-euc", [...below, 'exec "$@"'].join("\n"), "sh"];
  return ["sh", "-euc", [...joinRoot, 'exec unshare --cgroup "$@"'].join("\n"), "sh", ...inner];
}

/** The same for what then enters the namespaces of a node that is there already. */
export function joinCgroups(name: string): readonly string[] {
  const files = ownHierarchies().map(({ version, path }) =>
    join(path, name, version === 2 ? LEAF : "", "cgroup.procs"),
  );
  return ["sh", "-euc", [...files.map((file) => `echo 0 > ${file}`), 'exec "$@"'].join("\n"), "sh"];
}

/** Shell commands that mount the hierarchies anew, over a /sys of the node's own: its group is what they show. */
export function mountCgroups(): string {
  const hierarchies = ownHierarchies();
  if (hierarchies[0]?.version === 2) return `mount -t cgroup2 cgroup2 ${ROOT}`;
  const mounts = hierarchies.map(({ path, options }) => {
    // What has several controllers is known by the name of each.
    const links = options.includes(",") && !options.startsWith("none") ? options.split(",") : [];
    const linked = links.map((one) => `[ -e ${ROOT}/${one} ] || ln -s ${path} ${ROOT}/${one}`);
    return [`mkdir -p ${path}`, `mount -t cgroup -o ${options} cgroup ${path}`, ...linked].join("\n");
  });
  return [`mount -t tmpfs -o mode=755 tmpfs ${ROOT}`, ...mounts].join("\n");
}

/** Ends every process that is in group `name` or below it, and removes the groups. Throws where some do not end. */
export async function removeCgroups(name: string): Promise<void> {
  const groups = ownHierarchies().map(({ path }) => join(path, name));
  const areGone = (): boolean => {
    // Each of them: one that stays is no reason to leave the others.
    if (!groups.map(removeTree).includes(false)) return true;
    for (const group of groups) killAll(group);
    return false;
  };
  await until(areGone, GONE_MS, () => `processes of ${name} do not end: see cgroup.procs in ${groups.join(", ")}`);
}

/** Whether group `name` exists in any hierarchy. */
export function hasCgroups(name: string): boolean {
  return ownHierarchies().some(({ path }) => existsSync(join(path, name)));
}

function ownHierarchies(): readonly Hierarchy[] {
  return parseHierarchies(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** Whether nothing is left of it. */
function removeTree(group: string): boolean {
  if (!existsSync(group)) return true;
  const below = subgroups(group).map(removeTree);
  if (below.includes(false)) return false;
  try {
    rmdirSync(group);
    return true;
  } catch {
    return !existsSync(group); // busy: processes in it have not ended yet
  }
}

function killAll(group: string): void {
  for (const child of subgroups(group)) killAll(child);
  for (const pid of lines(join(group, "cgroup.procs"))) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // it has just ended
    }
  }
}

function subgroups(group: string): readonly string[] {
  try {
    return readdirSync(group, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(group, name));
  } catch {
    return []; // gone since it was listed
  }
}

function lines(file: string): readonly string[] {
  try {
    return readFileSync(file, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch {
    return [];
  }
}
