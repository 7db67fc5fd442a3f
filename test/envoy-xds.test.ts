import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingMessage, request, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGrpcServer } from "../src/dataplanes/envoy/grpc-server.ts";
import type { Resource } from "../src/dataplanes/envoy/resource.ts";
import { runEnvoy, type RunningEnvoy } from "../src/dataplanes/envoy/testing/run-envoy.ts";
import { AdsServer } from "../src/dataplanes/envoy/xds/ads-server.ts";
import { cluster, endpoints, remove, set } from "../src/dataplanes/envoy/xds/testing/resources.ts";
import { type App, freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { ask } from "../src/dataplanes/testing/clients.ts";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import { systemClock } from "../src/platform/clock.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { until } from "./support/gate.ts";

const TYPE = "type.googleapis.com/";

/** One life of the gate, as far as Envoys are told what they are to have. */
class Gate implements AsyncDisposable {
  readonly ads = new AdsServer({
    ...{ clock: systemClock, logger: silentLogger, changed: () => undefined },
    admit: ({ cluster: fleet }) => ({ fleet }),
  });
  readonly #scope = new AsyncDisposableStack();

  async start(): Promise<this> {
    const addresses = [{ unix: join(folder, "control.sock") }];
    this.#scope.use(await startGrpcServer({ addresses, services: [this.ads.service], logger: silentLogger }));
    this.#scope.use(this.ads);
    return this;
  }

  /** Resolves when the Envoy has taken all. */
  async taken(seq: number): Promise<void> {
    await until(
      () => Promise.resolve(this.ads.status().envoys.get("real")?.applied === seq),
      "Envoy to take it",
      10_000,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }
}

let folder: string;
let one: App;
let two: App;
let port: number;
let tlsPort: number;
let gate: Gate;
let envoy: RunningEnvoy;

/** What there is, by key: as whoever makes resources would hold it. */
const content = new Map<string, Resource>();
let seq = 0;

function put(...resources: Resource[]): Promise<void> {
  for (const resource of resources) content.set(`${resource.type} ${resource.name}`, resource);
  gate.ads.apply(set(...resources), (seq += 1));
  return gate.taken(seq);
}

function take(...resources: Resource[]): Promise<void> {
  for (const resource of resources) content.delete(`${resource.type} ${resource.name}`);
  gate.ads.apply(remove(...resources), (seq += 1));
  return gate.taken(seq);
}

/** Routes by the header x-c. */
function listener(name: string, at: number, transportSocket?: object): Resource {
  const route = { match: { prefix: "/" }, route: { clusterHeader: "x-c", timeout: "0s" } };
  const manager = {
    "@type": `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: name,
    routeConfig: { virtualHosts: [{ name: "all", domains: ["*"], routes: [route] }] },
    httpFilters: [
      { name: "router", typedConfig: { "@type": `${TYPE}envoy.extensions.filters.http.router.v3.Router` } },
    ],
  };
  const chain = { filters: [{ name: "http", typedConfig: manager }], ...(transportSocket && { transportSocket }) };
  const address = { socketAddress: { address: "127.0.0.1", portValue: at } };
  const body = { name, address, filterChains: [chain] };
  return { type: "envoy.config.listener.v3.Listener", name, fleet: null, body, subject: "envoy" };
}

function tlsSocket(): object {
  const sdsConfig = { ads: {}, resourceApiVersion: "V3" };
  return {
    name: "tls",
    typedConfig: {
      "@type": `${TYPE}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
      commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: "certificate", sdsConfig }] },
    },
  };
}

function secret(pair: ReturnType<typeof selfSigned>): Resource {
  const tlsCertificate = {
    certificateChain: { inlineString: pair.certificate },
    privateKey: { inlineString: pair.key },
  };
  const type = "envoy.extensions.transport_sockets.tls.v3.Secret";
  return { type, name: "certificate", fleet: null, body: { name: "certificate", tlsCertificate }, subject: "envoy" };
}

async function answerOf(name: string): Promise<string> {
  const { status, body } = await ask(port, "any", { headers: { "x-c": name } });
  return status === 200 ? body : String(status);
}

function servedSerial(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: tlsPort, rejectUnauthorized: false }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw).serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-xds-"));
  const answering = (name: string) => (req: IncomingMessage, res: ServerResponse) => {
    if (req.url === "/long") res.write("begun");
    else res.end(name);
  };
  [one, two] = [await startHttpApp(answering("one")), await startHttpApp(answering("two"))];
  [port, tlsPort] = [await freePort(), await freePort()];
  gate = await new Gate().start();
  gate.ads.settled();
  const starting = put(
    listener("http", port),
    ...[listener("tls", tlsPort, tlsSocket()), secret(selfSigned(["localhost"]))],
    ...[cluster("a"), endpoints("a", one.address.port), cluster("b"), endpoints("b", two.address.port)],
  );
  envoy = await runEnvoy({ folder, id: "real" });
  await starting;
});
afterAll(async () => {
  await envoy[Symbol.asyncDispose]();
  await gate[Symbol.asyncDispose]();
  for (const app of [one, two]) await app[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** A download through the Envoy that lasts until it is disposed. */
function download(): Promise<Disposable & { readonly isOpen: boolean }> {
  const { promise, resolve, reject } = Promise.withResolvers<Disposable & { readonly isOpen: boolean }>();
  const asked = request({ port, path: "/long", headers: { "x-c": "a" } }, (answer) => {
    let isOpen = true;
    answer.once("close", () => (isOpen = false));
    answer.on("error", () => undefined);
    answer.once("data", () =>
      resolve({
        get isOpen() {
          return isOpen;
        },
        [Symbol.dispose]: () => asked.destroy(),
      }),
    );
  });
  asked.once("error", reject).end();
  return promise;
}

test("endpoints, clusters and a certificate change while a download goes on, each by what changed alone", async () => {
  using long = await download();
  expect(await answerOf("a")).toBe("one");
  const { bytes: before } = gate.ads.sent;
  await put(endpoints("a", two.address.port));
  expect(await answerOf("a")).toBe("two");
  expect(gate.ads.sent.bytes - before).toBeLessThan(500);
  await put(cluster("new"), endpoints("new", one.address.port));
  await until(async () => (await answerOf("new")) === "one", "the new cluster to be warm", 3000);
  await take(cluster("new"), endpoints("new", 1));
  await until(async () => (await answerOf("new")) === "503", "the cluster to go", 3000);
  const serial = await servedSerial();
  await put(secret(selfSigned(["localhost"])));
  await until(async () => (await servedSerial()) !== serial, "the new certificate", 3000);
  expect(await answerOf("b")).toBe("two");
  expect(long.isOpen).toBe(true);
});

test("a bad resource among good ones is refused, is a problem, and the others work", async () => {
  using long = await download();
  const names = Array.from({ length: 50 }, (_, at) => `many${at}`);
  const all = names.flatMap((name) => [cluster(name), endpoints(name, one.address.port)]);
  const bad = { ...cluster("bad"), body: { ...cluster("bad").body, connectTimeout: "0s" } };
  const worse = { ...cluster("a"), body: { ...cluster("a").body, connectTimeout: "0s" } };
  await put(...all.slice(0, 50), bad, worse, ...all.slice(50));
  expect(
    gate.ads
      .status()
      .problems.map(({ subject, code }) => `${subject} ${code}`)
      .sort(),
  ).toEqual(["local/a envoy_refused", "local/bad envoy_refused"]);
  expect(gate.ads.status().problems[0]?.message).toMatch(/ConnectTimeout/);
  for (const name of names) await until(async () => (await answerOf(name)) === "one", name, 3000);
  expect(await answerOf("a")).toBe("two");
  expect(await answerOf("bad")).toBe("503");
  await put(cluster("a", "2s"), cluster("bad"), endpoints("bad", one.address.port));
  await until(async () => (await answerOf("bad")) === "one", "the mended cluster", 3000);
  expect(gate.ads.status().problems).toEqual([]);
  expect(long.isOpen).toBe(true);
});

test("what Envoy refuses of a listener leaves the one that is there", async () => {
  const bad = listener("http", port, { name: "tls", typedConfig: { "@type": `${TYPE}envoy.config.core.v3.Address` } });
  await put(bad);
  expect(gate.ads.status().problems).toMatchObject([{ subject: "envoy", code: "envoy_refused" }]);
  expect(await answerOf("b")).toBe("two");
  await put(listener("http", port));
  expect(gate.ads.status().problems).toEqual([]);
});

test("another life of the gate tells only what differs, and takes nothing away before it knows", async () => {
  using long = await download();
  await gate[Symbol.asyncDispose]();
  expect(await answerOf("b")).toBe("two");
  content.delete("envoy.config.cluster.v3.Cluster many0");
  content.delete("envoy.config.endpoint.v3.ClusterLoadAssignment many0");
  gate = await new Gate().start();
  const known = [...content.values()].filter(({ name }) => name !== "many1");
  gate.ads.apply(set(...known), (seq = 1));
  await gate.taken(1);
  expect(gate.ads.sent).toEqual({ responses: 0, bytes: 0 });
  expect(await answerOf("many0")).toBe("one");
  await put(endpoints("b", one.address.port));
  expect(await answerOf("b")).toBe("one");
  expect(gate.ads.sent.responses).toBe(1);
  await put(...[...content.values()].filter(({ name }) => name === "many1"));
  expect(gate.ads.sent.responses).toBe(1);
  gate.ads.settled();
  await until(async () => (await answerOf("many0")) === "503", "what is gone to go", 3000);
  await gate.taken(seq);
  expect(await answerOf("many1")).toBe("one");
  expect(gate.ads.sent.responses).toBeLessThanOrEqual(3);
  expect(long.isOpen).toBe(true);
});

test("an Envoy that starts has all clusters before it listens", async () => {
  await envoy[Symbol.asyncDispose]();
  const many = Array.from({ length: 5000 }, (_, at) => `cold${at}`);
  gate.ads.apply(set(...many.flatMap((name) => [cluster(name), endpoints(name, one.address.port)])), (seq += 1));
  envoy = await runEnvoy({ folder, id: "real" });
  const answers: string[] = [];
  const asked = async () => answers.push(await answerOf("cold4999").catch(() => "")) > 0 && answers.at(-1) !== "";
  await until(asked, "Envoy to listen", 20_000);
  expect(answers.at(-1)).toBe("one");
});
