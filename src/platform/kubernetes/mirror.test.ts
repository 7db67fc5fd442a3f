import { describe, expect, onTestFinished, test, vi } from "vitest";
import { systemClock } from "../clock.ts";
import { silentLogger } from "../logger.ts";
import type { KubernetesBounds } from "./bounds.ts";
import { KubernetesClient } from "./client.ts";
import { Mirror } from "./mirror.ts";
import type { KubernetesObject } from "./objects.ts";
import { PODS, type Scope } from "./resource.ts";
import { FakeApiServer, refuse } from "./testing/fake-api-server.ts";

const PATH = "/api/v1/namespaces/a/pods";
const WAIT = { timeout: 15_000, interval: 5 };
const FAST = { firstPauseMs: 5, mostPauseMs: 20, tries: 1 };

function pod(name: string, label = "one"): KubernetesObject {
  return { metadata: { namespace: "a", name, labels: { label } } };
}

async function stand(bounds: Partial<KubernetesBounds> = {}, scope: Scope = {}, names: readonly string[] = []) {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  for (const name of names) server.put(PATH, pod(name));
  const client = new KubernetesClient({
    cluster: server.cluster(),
    clock: systemClock,
    bounds: { ...FAST, ...bounds },
  });
  onTestFinished(() => client[Symbol.dispose]());
  const heard: (string | readonly string[])[] = [];
  const mirror = new Mirror({
    client,
    resource: PODS,
    scope,
    keep(object) {
      if (object.metadata.name === "unforeseen") throw new TypeError("no such field");
      return object.metadata.labels?.label ?? null;
    },
    changed: (keys) => heard.push([...keys].sort()),
    lost: (_since, error) => heard.push(`lost: ${error.message}`),
    found: () => heard.push("found"),
    clock: systemClock,
    logger: silentLogger,
  });
  onTestFinished(() => mirror[Symbol.asyncDispose]());
  const known = () => Object.fromEntries([...mirror.objects].sort());
  const lists = () => server.requests.filter(({ query }) => query.get("watch") === null).length;
  const watching = () => vi.waitFor(() => expect(server.watches).toBe(1), WAIT);
  const becomes = (what: Readonly<Record<string, string>>) => vi.waitFor(() => expect(known()).toEqual(what), WAIT);
  return { server, mirror, heard, known, lists, watching, becomes };
}

describe("mirror", () => {
  test("lists, then follows every change by one watch", async () => {
    const { server, mirror, heard, lists, watching, becomes } = await stand({}, { labelSelector: "x" }, ["one", "two"]);
    expect(mirror.isListed).toBe(false);
    await becomes({ "a/one": "one", "a/two": "one" });
    await watching();
    server.put(PATH, pod("three"));
    server.put(PATH, pod("one", "more"));
    server.remove(PATH, "two");
    await becomes({ "a/one": "more", "a/three": "one" });
    expect(heard[0]).toEqual(["a/one", "a/two"]);
    expect(heard.flat()).not.toContain("found");
    expect(lists()).toBe(1);
    const watch = server.requests.at(-1)!;
    expect(watch.query.get("allowWatchBookmarks")).toBe("true");
    expect(watch.query.get("labelSelector")).toBe("x");
  });

  test("passes over an object that cannot be read, and hears of the others", async () => {
    const { server, watching, becomes } = await stand({}, {}, ["unforeseen", "one"]);
    await watching();
    server.put(PATH, pod("unforeseen", "more"));
    server.put(PATH, pod("two"));
    await becomes({ "a/one": "one", "a/two": "one" });
  });

  test("says of an empty world that it is empty", async () => {
    const { heard } = await stand();
    await vi.waitFor(() => expect(heard).toEqual([[]]), WAIT);
  });

  test("goes on from the last bookmark when the server ends the watch, and lists nothing anew", async () => {
    const { server, heard, lists, watching, becomes } = await stand({}, {}, ["one"]);
    await watching();
    server.bookmark();
    const { version } = server;
    server.put("/api/v1/namespaces/a/services", pod("elsewhere"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.endWatches("end");
    server.put(PATH, pod("meanwhile"));
    await becomes({ "a/one": "one", "a/meanwhile": "one" });
    expect(lists()).toBe(1);
    expect(server.requests.at(-1)?.query.get("resourceVersion")).toBe(String(version));
    expect(heard.flat()).not.toContain("found");
  });

  test("goes on from where it was when the connection breaks, and half an event is none", async () => {
    const { server, heard, lists, watching, becomes } = await stand({}, {}, ["one"]);
    await watching();
    server.writeRaw('{"type":"ADDED","object":{"metadata":{"namespace":"a","na');
    server.endWatches("cut");
    server.put(PATH, pod("two"));
    await becomes({ "a/one": "one", "a/two": "one" });
    expect(lists()).toBe(1);
    expect(heard.filter((what) => typeof what === "string" && what.startsWith("lost"))).toEqual([]);
  });

  test("goes on where events come in pieces that are cut anywhere", async () => {
    const { server, watching, becomes } = await stand();
    await watching();
    const event = {
      type: "ADDED",
      object: { metadata: { namespace: "a", name: "é€", labels: { label: "ü" }, resourceVersion: "500" } },
    };
    const bytes = Buffer.from(`${JSON.stringify(event)}\n`);
    for (let at = 0; at < bytes.length; at += 7) {
      server.writeRaw(bytes.subarray(at, at + 7));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await becomes({ "a/é€": "ü" });
  });

  test("lists anew where the watch was left behind, and tells what differs alone", async () => {
    const { server, heard, lists, watching, becomes } = await stand({}, {}, ["one", "two", "three"]);
    await watching();
    heard.length = 0;
    server.intercept = ({ query }, response) => {
      if (query.get("watch") !== "true") return false;
      response.destroy();
      return true;
    };
    server.endWatches("end");
    server.remove(PATH, "one");
    server.put(PATH, pod("two", "more"));
    server.put(PATH, pod("four"));
    server.compact();
    server.intercept = () => false;
    await becomes({ "a/two": "more", "a/three": "one", "a/four": "one" });
    expect(heard.filter((what) => typeof what !== "string")).toEqual([["a/four", "a/one", "a/two"]]);
    expect(lists()).toBe(2);
  });

  test("lists anew where the watch is refused with 410, also in the middle of it", async () => {
    const { server, lists, watching } = await stand({}, {}, ["one"]);
    await watching();
    let refused = 0;
    server.intercept = ({ query }, response) => {
      if (query.get("watch") !== "true" || refused > 0) return false;
      refused += 1;
      refuse(response, 410, "Expired");
      return true;
    };
    server.endWatches("end");
    await vi.waitFor(() => expect(lists()).toBe(2), WAIT);
    await watching();
    server.writeRaw('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n');
    await vi.waitFor(() => expect(lists()).toBe(3), WAIT);
  });

  test("starts another watch from there where one says nothing for longer than bookmarks come", async () => {
    const { server, heard, lists, watching, becomes } = await stand({ stallMs: 150 }, {}, ["one"]);
    await watching();
    const frozen = server.requests.length;
    // Told to nobody: the watch is open and hears nothing.
    server.intercept = () => false;
    server.forgetWatches();
    server.put(PATH, pod("two"));
    await becomes({ "a/one": "one", "a/two": "one" });
    expect(server.requests.length).toBeGreaterThan(frozen);
    expect(lists()).toBe(1);
    expect(heard.filter((what) => typeof what === "string" && what.startsWith("lost"))).toEqual([]);
  });

  test("keeps what it knows while the server cannot be read, says so, and says when it is back", async () => {
    const { server, heard, known, watching, becomes } = await stand({}, {}, ["one"]);
    await watching();
    server.intercept = (_request, response) => {
      refuse(response, 503, "ServiceUnavailable");
      return true;
    };
    server.endWatches("cut");
    await vi.waitFor(() => expect(heard).toContainEqual(expect.stringContaining("503 ServiceUnavailable")), WAIT);
    expect(known()).toEqual({ "a/one": "one" });
    server.remove(PATH, "one");
    server.put(PATH, pod("two"));
    server.intercept = () => false;
    await becomes({ "a/two": "one" });
    expect(heard).toContain("found");
  });

  test("is told of a list that is denied, and tries again", async () => {
    const server = await FakeApiServer.start();
    onTestFinished(() => server[Symbol.asyncDispose]());
    let denied = 2;
    server.intercept = (_request, response) => {
      if (denied === 0) return false;
      denied -= 1;
      refuse(response, 403, "Forbidden");
      return true;
    };
    using client = new KubernetesClient({ cluster: server.cluster(), clock: systemClock, bounds: FAST });
    const heard: string[] = [];
    await using mirror = new Mirror({
      client,
      resource: PODS,
      scope: {},
      keep: () => true,
      changed: () => heard.push("changed"),
      lost: () => heard.push("lost"),
      found: () => heard.push("found"),
      clock: systemClock,
      logger: silentLogger,
    });
    await vi.waitFor(() => expect(mirror.isListed).toBe(true), WAIT);
    expect(heard).toEqual(["lost", "lost", "changed", "found"]);
  });

  test("refuses an event beyond the bound, and what is more than its memory is for", async () => {
    const { server, heard, watching } = await stand({ eventBytes: 2000, mirrorObjects: 3 }, {}, ["one"]);
    await watching();
    for (let time = 0; time < 2; time += 1) {
      await watching();
      const asked = server.requests.length;
      server.writeRaw("x".repeat(5000));
      await vi.waitFor(() => expect(server.requests.length).toBeGreaterThan(asked), WAIT);
    }
    await vi.waitFor(() => expect(heard).toContainEqual(expect.stringContaining("larger than 2000 bytes")), WAIT);
    for (const name of ["two", "three", "four", "five"]) server.put(PATH, pod(name));
    await vi.waitFor(() => expect(heard).toContainEqual(expect.stringContaining("more than 3")), WAIT);
  });

  test("tells what came of a list that broke in the middle", async () => {
    const { server, heard, watching, becomes } = await stand({ pageObjects: 1, stallMs: 200 }, {}, ["one", "two"]);
    await watching();
    heard.length = 0;
    server.put(PATH, pod("one", "more"));
    await becomes({ "a/one": "more", "a/two": "one" });
    let broken = 0;
    server.intercept = ({ query }, response) => {
      if (!query.has("continue") || broken > 2) return false;
      broken += 1;
      refuse(response, 503, "ServiceUnavailable");
      return true;
    };
    server.forgetWatches();
    server.put(PATH, pod("one", "most"));
    server.compact();
    await becomes({ "a/one": "most", "a/two": "one" });
    const told = () => heard.filter((what) => typeof what !== "string");
    await vi.waitFor(() => expect(told()).toEqual([["a/one"], ["a/one"]]), WAIT);
    await vi.waitFor(() => expect(broken).toBe(3), WAIT);
  });

  test("asks a server that ends every watch at once no more than about once a second", async () => {
    const { server } = await stand();
    server.intercept = ({ query }, response) => {
      if (query.get("watch") !== "true") return false;
      response.end();
      return true;
    };
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(server.requests.length).toBeLessThan(6);
  });

  test("calls nothing once it is disposed of", async () => {
    const { server, mirror, heard, watching } = await stand({}, {}, ["one"]);
    await watching();
    await mirror[Symbol.asyncDispose]();
    heard.length = 0;
    server.put(PATH, pod("two"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(heard).toEqual([]);
  });
});
