import module from "node:module";
import { join } from "node:path";
import { LimitsConfig } from "../../../../config/schema.ts";
import { systemClock } from "../../../../platform/clock.ts";
import { silentLogger } from "../../../../platform/logger.ts";
import { packageRoot } from "../../../../platform/package-info.ts";
import { heldBytes } from "../../../testing/memory.ts";
import type { PlaneOptions, RunningPlane } from "../../../testing/rig.ts";
import { Sticky } from "../../sticky.ts";
import { testListen, testObserve } from "../../testing/start-plane.ts";
import { bindPort } from "../bound-port.ts";
import { startWorkerPlane, type WorkerPlane } from "../worker-plane.ts";
import { askedAuthority } from "./asking-gatekeeper.ts";

/** Hundreds of workers are started: each would strip the same TypeScript again. */
module.enableCompileCache(join(packageRoot, "node_modules/.cache/taskgate/compile"));

/** A plane of real worker processes, at a free port of the loopback. */
export async function startTestWorkers(
  { limits, tls, proxyFrom, frontFrom, frontHops, public: seen, observe, gatekeeper, explain }: PlaneOptions,
  count: number,
): Promise<RunningPlane & { readonly plane: WorkerPlane }> {
  const bound = await bindPort("127.0.0.1", 0);
  const { port, address } = bound;
  const site = {
    ...{ domain: "localhost", gateHost: "taskgate.localhost", pathHost: "paths.localhost" },
    ...{ secure: tls !== null, port, ...seen, dial: "127.0.0.1" },
  };
  const dialRules = { loopback: ["gate", "local"], sockets: [], ownPorts: new Set([port]) };
  const settings = {
    listen: testListen({ tls, proxyFrom, frontFrom, frontHops }),
    limits: { ...LimitsConfig.parse({}), ...limits },
    observe: testObserve(observe),
    ...{ site, graceMs: 10_000, secret: "secret of a test", authority: null, via: "taskgate-test" },
    ...{ loopback: dialRules.loopback, sockets: [], ownPorts: [port] },
  };
  const sticky = new Sticky({ site, secret: settings.secret });
  const base = { clock: systemClock, logger: silentLogger };
  const plane = await startWorkerPlane({
    ...{ ...base, count, settings, explain, port: bound },
    entry: new URL("asking-worker.ts", import.meta.url),
    authority: askedAuthority(gatekeeper),
    checks: { limits: settings.limits, dialRules, stickyId: sticky.idOf, clock: systemClock },
  });
  return {
    ...{ plane, site, port, address },
    held: () => Promise.resolve(heldBytes()),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}
