import { expect, test } from "vitest";
import { echo, startHttpApp } from "../testing/apps.ts";
import { ask, echoed } from "../testing/clients.ts";
import { startRig } from "../testing/rig.ts";
import { byHost } from "../testing/table-builder.ts";
import { startTestEnvoy, startTestEnvoyAt } from "./testing/start-envoy-plane.ts";

test("carries a request through a real Envoy to a job, and says why where there is none", async () => {
  await using app = await startHttpApp(echo);
  await using rig = await startRig(startTestEnvoy);
  rig.table.service({ key: "local/nb/web", matches: [byHost("nb.localhost")], endpoints: [app.address] });
  rig.table.service({ key: "local/gone/web", matches: [byHost("gone.localhost")], endpoints: [] });
  await rig.publish();
  const answer = await ask(rig.port, `nb.localhost:${String(rig.port)}`, { path: "/a?b" });
  expect([answer.status, echoed(answer).url]).toEqual([200, "/a?b"]);
  const gone = await ask(rig.port, `gone.localhost:${String(rig.port)}`);
  expect([gone.status, gone.headers["x-taskgate-error"]]).toEqual([503, "starting"]);
});

test("says at once that its port is another program's", async () => {
  await using other = await startHttpApp(echo);
  await expect(startRig((options) => startTestEnvoyAt(other.address.port, options))).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("listen.address: Envoy (fleet local) refuses") as string,
  });
});
