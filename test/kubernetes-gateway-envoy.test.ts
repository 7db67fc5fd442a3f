import { describeTaskGateway } from "./support/task-gateway-suite.ts";

describeTaskGateway({
  ...{ controller: "envoy-gateway", letter: "s", mostListeners: null },
  deployment: ["envoy-gateway-system", "envoy-gateway"],
});
