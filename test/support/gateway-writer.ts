/**
 * A gate's reach through Gateways that is killed as by kill -9 right after the API server did its write number KILL (0: never). Takes one argument, JSON
 * of `WriterRun`. Each line on standard output: `{"writes": N}` when there was nothing to write for a while, which the last one is.
 */
import { systemClock } from "../../src/platform/clock.ts";
import { KubernetesClient } from "../../src/platform/kubernetes/client.ts";
import { silentLogger } from "../../src/platform/logger.ts";
import { podTask } from "../../src/reach/gateway-api/testing/scripted-provider.ts";
import { startLeaseLeadership } from "../../src/store/kubernetes/lease-leadership.ts";
import { clientOf, startReach, whole, type ReachOptions } from "./gateway-stand.ts";

export interface WriterRun {
  readonly kubeconfig: string;
  readonly installation: string;
  /** Pods' addresses by name of the task, each in namespace `team`. */
  readonly pods: Readonly<Record<string, string>>;
  readonly kill: number;
  readonly gateway?: ReachOptions["gateway"];
  /** Leads by a Lease of that name; absent: as the only gate. */
  readonly lease?: { readonly name: string; readonly holder: string };
}

const QUIET_MS = 700;

const run = JSON.parse(process.argv[2] ?? "") as WriterRun;
let writes = 0;
let lastWriteAt = Date.now();
for (const method of ["create", "replace", "remove"] as const) {
  const original: (...args: never[]) => Promise<unknown> = KubernetesClient.prototype[method];
  const counted = async function (this: KubernetesClient, ...args: never[]): Promise<unknown> {
    const [resource] = args as readonly { readonly plural?: string }[];
    const answer = await original.apply(this, args);
    if (resource?.plural === "leases") return answer;
    writes += 1;
    lastWriteAt = Date.now();
    if (writes === run.kill) process.kill(process.pid, "SIGKILL");
    return answer;
  };
  Object.assign(KubernetesClient.prototype, { [method]: counted });
}

const leadership =
  run.lease === undefined
    ? undefined
    : startLeaseLeadership({
        ...{ client: await clientOf(run.kubeconfig), namespace: "gateways", ...run.lease, durationS: 3 },
        ...{ clock: systemClock, logger: silentLogger },
      });
const reach = await startReach({
  ...{ kubeconfig: run.kubeconfig, installation: run.installation, gateway: run.gateway ?? {} },
  ...(leadership === undefined ? {} : { leadership }),
  // One after the other: at which write it is killed is the same each time.
  bounds: { writer: { workers: 1, gatewayMs: 0 } },
});
reach.say(whole(...Object.entries(run.pods).map(([id, ip]) => podTask(id, "team", [{ pod: `${id}-0`, ip }]))));
/** All is made, and no listener is left over; other objects may be. */
function isDone(): boolean {
  const { wanted = 0, ready = 0, gateways = [] } = reach.reached.report?.() ?? {};
  const isKnown = gateways.every(({ state }) => state === "ready");
  const own = gateways.reduce((sum, { listeners, listenerSets }) => sum + listeners.own + (listenerSets?.own ?? 0), 0);
  return isKnown && reach.updates.length > 0 && ready === wanted && own === wanted;
}

let doneAt = Infinity;
setInterval(() => {
  doneAt = isDone() ? Math.min(doneAt, Date.now()) : Infinity;
  if (Date.now() - Math.max(doneAt, lastWriteAt) < QUIET_MS) return;
  process.stdout.write(`${JSON.stringify({ writes })}\n`);
  if (run.lease === undefined) process.exit(0);
  lastWriteAt = Infinity;
}, 50);
