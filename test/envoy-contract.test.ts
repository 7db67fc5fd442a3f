import { describeDataPlane } from "../src/dataplanes/dataplane.contract.ts";
import { DIFFERENCES } from "../src/dataplanes/envoy/testing/differences/all.ts";
import { startTestEnvoy } from "../src/dataplanes/envoy/testing/start-envoy-plane.ts";

describeDataPlane("Envoy", startTestEnvoy, DIFFERENCES);
