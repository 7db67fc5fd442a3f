import { describeDataPlane } from "../../dataplane.contract.ts";
import { startTestWorkers } from "./testing/start-worker-plane.ts";

describeDataPlane("embedded in workers", (options) => startTestWorkers(options));
