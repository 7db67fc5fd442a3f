import { systemClock } from "../../../../platform/clock.ts";
import { runWorker } from "../worker.ts";
import { startAskingGatekeeper } from "./asking-gatekeeper.ts";

runWorker({ startGatekeeper: ({ link }) => startAskingGatekeeper(link), clock: systemClock });
