import type { Grounding } from "../auth/workers/messages.ts";
import { startWorkerGatekeeper } from "../auth/workers/worker-gatekeeper.ts";
import { runWorker } from "../dataplanes/embedded/workers/worker.ts";
import { systemClock } from "../platform/clock.ts";

// What a worker process of the gate runs. It loads what moves bytes and verifies sessions, and nothing else: every worker pays for it.
runWorker({
  clock: systemClock,
  startGatekeeper: ({ grounding, ...parts }) => startWorkerGatekeeper({ ...parts, grounding: grounding as Grounding }),
});
