import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { makeAuthority } from "../../dataplanes/testing/make-authority.ts";
import { systemClock } from "../clock.ts";
import { Secret } from "../secret.ts";
import type { KubernetesBounds } from "./bounds.ts";
import { KubernetesClient } from "./client.ts";
import type { Cluster } from "./cluster.ts";
import { writtenCredentials } from "./credentials.ts";
import { hasReason, type KubernetesError } from "./kubernetes-error.ts";
import type { KubernetesObject } from "./objects.ts";
import { NAMESPACES, PODS, type Resource } from "./resource.ts";
import { answer, FakeApiServer, refuse } from "./testing/fake-api-server.ts";
import { fileText, fixedText } from "./text-source.ts";

const PATH = "/api/v1/namespaces/a/pods";
const CONFIG_MAPS: Resource<KubernetesObject & { readonly data?: Readonly<Record<string, string>> }> = {
  apiVersion: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespaced: true,
};
const FAST = { firstPauseMs: 5, mostPauseMs: 20 };
const { signal } = new AbortController();

async function stand(more: { cluster?: Partial<Cluster>; bounds?: Partial<KubernetesBounds> } = {}) {
  const server = await FakeApiServer.start();
  onTestFinished(() => server[Symbol.asyncDispose]());
  const connect = (cluster: Partial<Cluster> = {}) => {
    const bounds = { ...FAST, ...more.bounds };
    const client = new KubernetesClient({ cluster: server.cluster(cluster), clock: systemClock, bounds });
    onTestFinished(() => client[Symbol.dispose]());
    return client;
  };
  return { server, connect, client: connect(more.cluster) };
}

function pod(name: string): KubernetesObject {
  return { metadata: { namespace: "a", name } };
}

function failure(work: Promise<unknown>): Promise<KubernetesError> {
  return work.then(
    () => {
      throw new Error("expected a failure");
    },
    (error: unknown) => error as KubernetesError,
  );
}

describe("calls", () => {
  test("read one object, and null where there is none", async () => {
    const { server, client } = await stand();
    server.put(PATH, pod("one"));
    expect(await client.get(PODS, { namespace: "a", name: "one" }, signal)).toMatchObject({
      metadata: { name: "one" },
    });
    expect(await client.get(PODS, { namespace: "a", name: "two" }, signal)).toBeNull();
    expect(await client.get(NAMESPACES, { name: "a" }, signal)).toBeNull();
  });

  test("go over connections that are kept: fifty over one", async () => {
    const { server, client } = await stand();
    for (let at = 0; at < 50; at += 1) await client.get(PODS, { namespace: "a", name: "one" }, signal);
    expect(server.connections).toBe(1);
  });

  test("list page by page", async () => {
    const { server, client } = await stand({ bounds: { pageObjects: 2 } });
    for (const name of ["one", "two", "three", "four", "five"]) server.put(PATH, pod(name));
    const pages = [];
    for await (const page of client.list(PODS, { labelSelector: "a=b" }, signal)) pages.push(page.items.length);
    expect(pages).toEqual([2, 2, 1]);
    expect(server.requests.map(({ query }) => query.get("labelSelector"))).toEqual(["a=b", "a=b", "a=b"]);
  });

  test("list fewer objects at once where they are large", async () => {
    const { server, client } = await stand({ bounds: { answerBytes: 3000 } });
    for (let at = 0; at < 20; at += 1) {
      server.put(PATH, { metadata: { namespace: "a", name: `pod-${String(at)}`, labels: { x: "y".repeat(500) } } });
    }
    const names = [];
    for await (const { items } of client.list(PODS, {}, signal)) names.push(...items.map((item) => item.metadata.name));
    expect(new Set(names).size).toBe(20);
    expect(names.length).toBe(20);
  });

  test("fail with too_large where one object is beyond the bound", async () => {
    const { server, client } = await stand({ bounds: { answerBytes: 3000 } });
    server.put(PATH, { metadata: { namespace: "a", name: "one", labels: { x: "y".repeat(4000) } } });
    const error = await failure(client.list(PODS, {}, signal).next());
    expect(error.code).toBe("too_large");
  });

  test("replace only what is still as it was read", async () => {
    const { client } = await stand();
    const made = await client.create(
      CONFIG_MAPS,
      { metadata: { namespace: "a", name: "m" }, data: { x: "1" } },
      signal,
    );
    const next = await client.replace(CONFIG_MAPS, { ...made, data: { x: "2" } }, signal);
    expect(next.data).toEqual({ x: "2" });
    const late = await failure(client.replace(CONFIG_MAPS, { ...made, data: { x: "3" } }, signal));
    expect(late.code).toBe("conflict");
    const again = await failure(client.create(CONFIG_MAPS, made, signal));
    expect(hasReason(again, "AlreadyExists")).toBe(true);
    expect(await client.remove(CONFIG_MAPS, { namespace: "a", name: "m" }, signal)).toBe(true);
    expect(await client.remove(CONFIG_MAPS, { namespace: "a", name: "m" }, signal)).toBe(false);
  });

  test("apply as the server wants it", async () => {
    const { server, client } = await stand();
    const annotations = { a: "b" };
    await client.apply(
      PODS,
      { metadata: { namespace: "a", name: "one", annotations } },
      { fieldManager: "taskgate", force: true, signal },
    );
    const [{ method, path, query, headers, body }] = server.requests as [(typeof server.requests)[0]];
    expect([method, path]).toEqual(["PATCH", `${PATH}/one`]);
    expect(Object.fromEntries(query)).toEqual({ fieldManager: "taskgate", force: "true" });
    expect(headers["content-type"]).toBe("application/apply-patch+yaml");
    expect(body).toMatchObject({ apiVersion: "v1", kind: "Pod", metadata: { annotations } });
  });
});

describe("failures", () => {
  test("are tried again as often as the bounds say, and then told", async () => {
    const { server, client } = await stand({ bounds: { tries: 3 } });
    server.intercept = (_request, response) => {
      refuse(response, 503, "ServiceUnavailable");
      return true;
    };
    const error = await failure(client.get(PODS, { namespace: "a", name: "one" }, signal));
    expect(server.requests.length).toBe(3);
    expect(error).toMatchObject({ code: "unavailable", status: 503, reason: "ServiceUnavailable" });
    expect(error.message).toBe(`GET ${PATH}/one: 503 ServiceUnavailable: it is ServiceUnavailable`);
  });

  test("of what may have happened are not tried again, where it would happen twice", async () => {
    const { server, client } = await stand();
    server.intercept = (_request, response) => {
      response.destroy();
      return true;
    };
    await failure(client.create(PODS, pod("one"), signal));
    expect(server.requests.length).toBe(1);
    await failure(client.replace(PODS, { metadata: { ...pod("one").metadata, resourceVersion: "1" } }, signal));
    expect(server.requests.length).toBe(5);
  });

  test("with 429 wait for as long as the server says, also to make something", async () => {
    const { server, client } = await stand();
    let asked = 0;
    server.intercept = (_request, response) => {
      asked += 1;
      if (asked > 1) return false;
      refuse(response, 429, "TooManyRequests", { "retry-after": "1" });
      return true;
    };
    const began = performance.now();
    await client.create(PODS, pod("one"), signal);
    expect(performance.now() - began).toBeGreaterThan(990);
    expect(server.requests.length).toBe(2);
  });

  test("with a Retry-After beyond the bound are told with it, at once", async () => {
    const { server, client } = await stand();
    server.intercept = (_request, response) => {
      refuse(response, 429, "TooManyRequests", { "retry-after": "3600" });
      return true;
    };
    const error = await failure(client.get(PODS, { namespace: "a", name: "one" }, signal));
    expect(error).toMatchObject({ code: "rate_limited", retryAfterS: 3600 });
    expect(server.requests.length).toBe(1);
  });

  test.each([
    [400, "bad_request"],
    [403, "denied"],
    [409, "conflict"],
    [422, "bad_request"],
  ] as const)("with %i are told at once", async (status, code) => {
    const { server, client } = await stand();
    server.intercept = (_request, response) => {
      refuse(response, status, "Said");
      return true;
    };
    expect((await failure(client.get(PODS, { namespace: "a", name: "one" }, signal))).code).toBe(code);
    expect(server.requests.length).toBe(1);
  });

  test("to answer in time are bounded", async () => {
    const { server, client } = await stand({ bounds: { callMs: 50, tries: 2 } });
    server.intercept = () => true;
    const error = await failure(client.get(PODS, { namespace: "a", name: "one" }, signal));
    expect(error).toMatchObject({ code: "unavailable", message: `GET ${PATH}/one: no answer in time` });
    expect(server.requests.length).toBe(2);
  });

  test("to answer in JSON, and answers that are cut, are unavailable", async () => {
    const { server, client } = await stand({ bounds: { tries: 1 } });
    server.intercept = (_request, response) => {
      response.end("<html>");
      return true;
    };
    expect((await failure(client.get(PODS, { namespace: "a", name: "one" }, signal))).code).toBe("unavailable");
    server.intercept = (_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{");
      setImmediate(() => response.destroy());
      return true;
    };
    expect((await failure(client.get(PODS, { namespace: "a", name: "one" }, signal))).code).toBe("unavailable");
  });

  test("end with the signal's own reason", async () => {
    const { server, client } = await stand();
    server.intercept = () => true;
    const stop = new AbortController();
    const waiting = failure(client.get(PODS, { namespace: "a", name: "one" }, stop.signal));
    const reason = new Error("enough");
    setTimeout(() => stop.abort(reason), 20);
    expect(await waiting).toBe(reason);
  });
});

describe("who asks whom", () => {
  test("reads a token file again when the token was refused", async () => {
    const folder = await mkdtemp(join(tmpdir(), "taskgate-kubernetes-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, "token");
    await writeFile(path, "old-secret\n");
    const credentials = writtenCredentials({ token: fileText(path, systemClock) });
    const { server, client } = await stand({ cluster: { credentials } });
    let good = "old-secret";
    server.intercept = ({ headers }, response) => {
      if (headers.authorization === `Bearer ${good}`) return false;
      refuse(response, 401, "Unauthorized");
      return true;
    };
    expect(await client.get(PODS, { namespace: "a", name: "one" }, signal)).toBeNull();
    good = "new-secret";
    const error = await failure(client.get(PODS, { namespace: "a", name: "one" }, signal));
    expect(error.code).toBe("unauthenticated");
    expect(server.requests.length).toBe(3);
    await writeFile(path, "new-secret\n");
    expect(await client.get(PODS, { namespace: "a", name: "one" }, signal)).toBeNull();
    expect(inspect([error, client], { depth: 20, showHidden: true })).not.toContain("old-secret");
  });

  test("shows a client certificate, and another one as it changes", async () => {
    const authority = await makeAuthority();
    const first = await authority.issue(["DNS:first"]);
    const second = await authority.issue(["DNS:second"]);
    let shown = first;
    const credentials = {
      get: () => Promise.resolve({ certificate: { chain: shown.certificate, key: new Secret(shown.key) } }),
      refused: () => undefined,
    };
    const server = await FakeApiServer.start({ ca: authority.certificate, requestCert: true });
    onTestFinished(() => server[Symbol.asyncDispose]());
    using client = new KubernetesClient({ cluster: server.cluster({ credentials }), clock: systemClock });
    const seen: unknown[] = [];
    server.intercept = ({ socket }, response) => {
      seen.push(socket.getPeerCertificate().subjectaltname);
      answer(response, 200, {});
      return true;
    };
    await client.get(PODS, { namespace: "a", name: "one" }, signal);
    await client.get(PODS, { namespace: "a", name: "one" }, signal);
    shown = second;
    await client.get(PODS, { namespace: "a", name: "one" }, signal);
    expect(seen).toEqual(["DNS:first", "DNS:first", "DNS:second"]);
    expect(server.connections).toBe(2);
  });

  test("refuses a server of another authority, or of another name, and asks it nothing", async () => {
    const { server, connect } = await stand();
    const strange = connect({ authority: fixedText((await makeAuthority()).certificate) });
    const error = await failure(strange.get(PODS, { namespace: "a", name: "one" }, signal));
    expect(error).toMatchObject({ code: "unavailable", status: 0 });
    expect(error.message).toContain("certificate is not accepted");
    const elsewhere = connect({ serverName: "other.test" });
    expect((await failure(elsewhere.get(PODS, { namespace: "a", name: "one" }, signal))).message).toContain("ALTNAME");
    expect(server.requests).toEqual([]);
    expect(await connect({ insecure: true, authority: null }).get(PODS, pod("one").metadata, signal)).toBeNull();
  });

  test("believes a new authority once its file has it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "taskgate-kubernetes-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, "ca.crt");
    await writeFile(path, (await makeAuthority()).certificate);
    const { server, client } = await stand({
      cluster: { authority: fileText(path, systemClock) },
      bounds: { tries: 2 },
    });
    await failure(client.get(PODS, { namespace: "a", name: "one" }, signal));
    await writeFile(path, server.authority.certificate);
    expect(await client.get(PODS, { namespace: "a", name: "one" }, signal)).toBeNull();
  });

  test("acts as somebody else where it is told to", async () => {
    const headers = { "impersonate-user": "bob", "impersonate-group": ["x", "y"] };
    const { server, client } = await stand({ cluster: { headers } });
    await client.get(PODS, { namespace: "a", name: "one" }, signal);
    expect(server.requests[0]?.headers).toMatchObject({ "impersonate-user": "bob", "impersonate-group": "x, y" });
  });
});
