import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../run-program.ts";
import { clustersFolder, readRecord } from "./cluster-record.ts";
import { hasCgroups, removeCgroups } from "./cgroups.ts";
import { isAlive } from "./node.ts";
import { cgroupOf, checkName, linkOf } from "./plan.ts";

/**
 * Ends a cluster and removes all that is of it, whatever state it is in: also one whose processes were killed, or that never got to its end
 * of starting. What it needs to know is its name. Throws where something stays.
 */
export async function removeCluster(name: string): Promise<void> {
  checkName(name);
  const node = readRecord(name)?.node ?? null;
  // The kernel ends all that runs on it.
  if (node !== null && isAlive(node)) process.kill(node.pid, "SIGKILL");
  await removeCgroups(cgroupOf(name));
  const link = linkOf(name);
  if (existsSync(`/sys/class/net/${link}`)) {
    await runProgram("ip", ["link", "delete", link]).catch((error: unknown) => {
      // The kernel may have been faster: it goes with the node's network.
      if (existsSync(`/sys/class/net/${link}`)) throw error;
    });
  }
  removeFolder(join(clustersFolder(), name));
}

/** Whether anything of it is there. */
export function hasRemains(name: string): boolean {
  return (
    existsSync(join(clustersFolder(), name)) ||
    existsSync(`/sys/class/net/${linkOf(name)}`) ||
    hasCgroups(cgroupOf(name))
  );
}

function removeFolder(folder: string): void {
  // Its mounts are the node's, and gone with it. Were one here, what is mounted would be removed with the folder.
  const mounted = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .find((path) => path.startsWith(`${folder}/`));
  if (mounted !== undefined) throw new Error(`${mounted} is mounted: unmount it, then remove ${folder}`);
  rmSync(folder, { recursive: true, force: true });
}
