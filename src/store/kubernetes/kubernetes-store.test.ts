import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../platform/clock.ts";
import { KubernetesClient } from "../../platform/kubernetes/client.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import { FakeApiServer, refuse } from "../../platform/kubernetes/testing/fake-api-server.ts";
import { silentLogger } from "../../platform/logger.ts";
import { startKubernetesStore, STORE_BOUNDS } from "./kubernetes-store.ts";

const SECRETS = "/api/v1/namespaces/a/secrets";

async function stand() {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const client = new KubernetesClient({ cluster: server.cluster(), clock: systemClock, bounds: STORE_BOUNDS });
  onTestFinished(() => client[Symbol.dispose]());
  const deps = { client, namespace: "a", name: "s", clock: systemClock, networkClock: systemClock };
  const store = await startKubernetesStore({ ...deps, logger: silentLogger });
  onTestFinished(() => store[Symbol.asyncDispose]());
  return { server, store };
}

test("knows its own write again when the answer to it was lost", async () => {
  const { server, store } = await stand();
  const version = await store.put("code", "a", 1, { version: null });
  let lost = 0;
  server.intercept = ({ method, body, socket }) => {
    if (method !== "PUT" || lost > 0) return false;
    lost += 1;
    server.put(SECRETS, body as KubernetesObject);
    socket.destroy();
    return true;
  };
  await store.remove("code", "a", version);
  expect(lost).toBe(1);
  expect(await store.get("code", "a")).toBeNull();
  await expect(store.remove("code", "a", version)).rejects.toMatchObject({ code: "conflict" });
});

test.each([401, 403, 422, 429, 500])(
  "is unavailable where the API server says %i, and denies nobody",
  async (status) => {
    const { server, store } = await stand();
    const version = await store.put("token", "a", 1, { version: null });
    server.intercept = ({ query }, response) => {
      if (query.has("watch")) return false;
      refuse(response, status, "Refused", { "retry-after": "90" });
      return true;
    };
    const unavailable = { name: "GatewayError", code: "unavailable" };
    await expect(store.put("token", "a", 2, { version })).rejects.toMatchObject(unavailable);
    await expect(store.put("token", "b", 2, { version: null })).rejects.toMatchObject(unavailable);
    await expect(store.get("token", "b")).rejects.toMatchObject(unavailable);
    expect(await store.get("token", "a")).toEqual({ value: 1, version });
  },
);
