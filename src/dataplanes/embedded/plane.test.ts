import { describeDataPlane } from "../dataplane.contract.ts";
import { startTestPlane } from "./testing/start-plane.ts";

describeDataPlane("embedded", startTestPlane);
