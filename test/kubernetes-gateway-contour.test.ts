import { describeTaskGateway } from "./support/task-gateway-suite.ts";

// Contour knows no ListenerSets: the Gateway itself gets more listeners, as Determined's page has it.
describeTaskGateway({
  ...{ controller: "contour", letter: "r", mostListeners: 192 },
  deployment: ["task-gateway", "contour-tasks"],
});
