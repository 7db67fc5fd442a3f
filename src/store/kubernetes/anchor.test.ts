import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import { FakeApiServer, refuse } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { silentLogger } from "../../platform/logger.ts";
import { findAnchor } from "./anchor.ts";
import { startLeaseLeadership } from "./lease-leadership.ts";
import { startKubernetesStore, STORE_BOUNDS } from "./kubernetes-store.ts";

const PLACE = { namespace: "a", name: "state" };
const ANCHOR = { apiVersion: "v1", kind: "ConfigMap", name: "state" };

async function stand() {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const client = new KubernetesClient({ cluster: server.cluster(), clock: systemClock, bounds: STORE_BOUNDS });
  onTestFinished(() => client[Symbol.dispose]());
  return { server, client };
}

test("all that a store writes belongs to the ConfigMap, also what it writes again", async () => {
  const { server, client } = await stand();
  server.put("/api/v1/namespaces/a/configmaps", { metadata: PLACE });
  const owner = await findAnchor(client, PLACE);
  expect(owner).toEqual({ ...ANCHOR, uid: expect.stringMatching(/./) as string });
  const written: (KubernetesObject | undefined)[] = [];
  server.intercept = ({ method, body }) => {
    if (method === "POST" || method === "PUT") written.push(body as KubernetesObject);
    return false;
  };
  const base = { client, namespace: "a", name: "s", owner, clock: systemClock, logger: silentLogger };
  await using store = await startKubernetesStore({ ...base, networkClock: systemClock });
  const version = await store.put("token", "a", 1, { version: null });
  await store.put("token", "a", 2, { version });
  const leadership = startLeaseLeadership({ ...base, holder: "one", durationS: 15 });
  const { promise: leads, resolve } = Promise.withResolvers<undefined>();
  const leading = leadership.lead("tell", async (signal) => {
    resolve(undefined);
    await once(signal, "abort");
  });
  await leads;
  expect(written).toHaveLength(3);
  for (const object of written) expect(object?.metadata.ownerReferences).toEqual([owner]);
  await leading[Symbol.asyncDispose]();
});

test("says which ConfigMap is not there", async () => {
  const { client } = await stand();
  const message = "store.anchor: there is no ConfigMap a/state";
  await expect(findAnchor(client, PLACE)).rejects.toMatchObject({ code: "bad_request", message });
});

test("is unavailable where it may not be looked for", async () => {
  const { server, client } = await stand();
  server.intercept = (_request, response) => {
    refuse(response, 403, "Forbidden");
    return true;
  };
  await expect(findAnchor(client, PLACE)).rejects.toMatchObject({ code: "unavailable" });
});
