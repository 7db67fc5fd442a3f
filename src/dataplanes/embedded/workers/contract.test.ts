import { describeDataPlane } from "../../dataplane.contract.ts";
import { startTestWorkers } from "./testing/start-worker-plane.ts";

// One worker: all that a plane does crosses the border of the process, and bounds that each worker has for itself are what the suite says.
// Several at once: test/workers.test.ts.
describeDataPlane("embedded in a worker", (options) => startTestWorkers(options, 1));
