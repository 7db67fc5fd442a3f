import { envoyProgram } from "../envoy.ts";
import type { Cluster } from "./cluster.ts";
import { ENVOY_IMAGE } from "./images.ts";

/** The image `ENVOY_IMAGE` for pods: the Envoy that tests use. */
export async function addEnvoyImage(cluster: Cluster): Promise<void> {
  await cluster.addImages([{ name: ENVOY_IMAGE, program: await envoyProgram() }]);
}
