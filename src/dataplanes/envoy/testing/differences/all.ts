import type { Differences } from "../../../contract/plane-test.ts";
import { ANSWER_DIFFERENCES } from "./answers.ts";
import { BOUND_DIFFERENCES } from "./bounds.ts";
import { CALL_DIFFERENCES } from "./calls.ts";
import { CONNECTION_DIFFERENCES } from "./connections.ts";
import { DRAIN_DIFFERENCES } from "./drain.ts";
import { REQUEST_DIFFERENCES } from "./requests.ts";
import { TASK_DIFFERENCES } from "./tasks.ts";
import { UPGRADE_DIFFERENCES } from "./upgrades.ts";

/** All that Envoy does in another way than the suite of data planes has it; docs/envoy.md lists them. */
export const DIFFERENCES: Differences = {
  ...REQUEST_DIFFERENCES,
  ...ANSWER_DIFFERENCES,
  ...UPGRADE_DIFFERENCES,
  ...BOUND_DIFFERENCES,
  ...CALL_DIFFERENCES,
  ...TASK_DIFFERENCES,
  ...CONNECTION_DIFFERENCES,
  ...DRAIN_DIFFERENCES,
};
