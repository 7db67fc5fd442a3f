import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../clock.ts";
import { KubernetesClient } from "./client.ts";
import { recordEvent } from "./record-event.ts";
import { FakeApiServer } from "./testing/fake-api-server.ts";

const PATH = "/apis/events.k8s.io/v1/namespaces/a/events";
const { signal } = new AbortController();

test("an event that is told again is counted, and another is an Event of its own", async () => {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  using client = new KubernetesClient({ cluster: server.cluster(), clock: systemClock });
  const spec = {
    regarding: { apiVersion: "v1", kind: "Pod", namespace: "a", name: "p".repeat(253), uid: "1" },
    type: "Warning",
    reason: "AnnotationInvalid",
    action: "Publish",
    instance: "gate-0",
    now: 1_800_000_000_000,
  } as const;
  for (let time = 0; time < 3; time += 1) await recordEvent(client, { ...spec, note: "it is bad" }, signal);
  await recordEvent(client, { ...spec, note: "it is bad", once: true }, signal);
  await recordEvent(client, { ...spec, note: "x".repeat(5000), once: true }, signal);
  const names = [...new Set(server.requests.filter(({ method }) => method === "GET").map(({ path }) => path))];
  expect(names.length).toBe(2);
  const [first, second] = names.map((path) => server.get(PATH, path.slice(PATH.length + 1)));
  expect(first).toMatchObject({ note: "it is bad", series: { count: 3 }, eventTime: "2027-01-15T08:00:00.000000Z" });
  expect(first?.metadata.name.length).toBe(253);
  expect((second as unknown as { readonly note: string }).note.length).toBe(1024);
});
