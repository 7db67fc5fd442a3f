import type { LocalEnvoy } from "../local/local-envoy.ts";

/** In the place of the gate's own Envoy, where whoever starts the plane starts Envoys himself, or there are none. */
export const NO_LOCAL_ENVOY = {
  problems: [],
  start: () => Promise.resolve(),
  ask: () => Promise.reject(new Error("nobody is there to be asked")),
  [Symbol.asyncDispose]: () => Promise.resolve(),
} as unknown as LocalEnvoy;
