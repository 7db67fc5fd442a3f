import { CONTAINERD_SOCKET } from "./configuration.ts";
import { type ProcessId, runOnNode } from "./node.ts";
import type { Programs } from "./programs.ts";

/** Gives a node the images of an archive, for pods that pull none. */
export async function importImages(programs: Programs, node: ProcessId, archive: string): Promise<void> {
  const ctr = [programs.ctr, "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io"];
  // The first container of an image unpacks it.
  await runOnNode(node, [...ctr, "images", "import", "--no-unpack", archive]);
}
