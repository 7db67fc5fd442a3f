import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { startTestEnvoy } from "../src/dataplanes/envoy/testing/start-envoy-plane.ts";
import { echo, freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { ask, type Echo } from "../src/dataplanes/testing/clients.ts";
import { startRig } from "../src/dataplanes/testing/rig.ts";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { writePem } from "../src/dataplanes/testing/write-pem.ts";
import { envoyProgram } from "../testbed/envoy.ts";

const HOST = "nb.localhost";
const API = "type.googleapis.com/envoy";

/** Speaks HTTP/3 to that port for who speaks HTTP to `port`: no client of HTTP/3 that Node can run is certain to be here, but Envoy is one. */
async function startHttp3Client(
  far: number,
  certificate: string,
): Promise<{ readonly port: number } & AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "taskgate-http3-"));
  scope.defer(() => rmSync(folder, { recursive: true }));
  const port = await freePort();
  const file = join(folder, "envoy.json");
  writeFileSync(file, JSON.stringify(clientConfig(port, far, certificate)));
  const words = ["-c", file, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warn"];
  const child = spawn(await envoyProgram(), words, { stdio: "ignore" });
  scope.defer(async () => {
    const gone = once(child, "exit");
    if (child.kill("SIGKILL")) await gone;
  });
  for (let tries = 0; tries < 100; tries += 1) {
    const reply = await ask(port, HOST).catch(() => null);
    if (reply !== null) break;
    await pause(50);
  }
  const running = scope.move();
  return { port, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

function clientConfig(port: number, far: number, certificate: string): object {
  const options = { "@type": `${API}.extensions.upstreams.http.v3.HttpProtocolOptions`, explicitHttpConfig: { http3ProtocolOptions: {} } }; // prettier-ignore
  const validationContext = { trustedCa: { inlineString: certificate } };
  const cluster = {
    name: "gate",
    type: "STATIC",
    typedExtensionProtocolOptions: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options },
    transportSocket: {
      name: "envoy.transport_sockets.quic",
      typedConfig: {
        "@type": `${API}.extensions.transport_sockets.quic.v3.QuicUpstreamTransport`,
        upstreamTlsContext: { sni: HOST, commonTlsContext: { validationContext } },
      },
    },
    loadAssignment: { clusterName: "gate", endpoints: [{ lbEndpoints: [{ endpoint: { address: at(far) } }] }] },
  };
  const manager = {
    "@type": `${API}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: "near",
    routeConfig: { virtualHosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "gate" } }] }] }, // prettier-ignore
    httpFilters: [{ name: "router", typedConfig: { "@type": `${API}.extensions.filters.http.router.v3.Router` } }],
  };
  const filterChains = [{ filters: [{ name: "http", typedConfig: manager }] }];
  return { staticResources: { clusters: [cluster], listeners: [{ name: "near", address: at(port), filterChains }] } };
}

function at(portValue: number): object {
  return { socketAddress: { address: "127.0.0.1", portValue } };
}

test("speaks HTTP/3 on the port of TLS, and says so to those who come by TCP", async () => {
  const pem = selfSigned([HOST]);
  await using app = await startHttpApp(echo);
  await using files = await writePem(pem);
  await using rig = await startRig(startTestEnvoy, { tls: files });
  rig.table.service({ key: "local/nb/web", matches: [byHost(HOST)], endpoints: [app.address] });
  await rig.publish();
  await using client = await startHttp3Client(rig.port, pem.certificate);
  const reply = await ask(client.port, `${HOST}:${String(rig.port)}`, {
    path: "/a%2Fb?c",
    headers: { x_under_score: "1" },
  });
  expect(reply.status).toBe(200);
  expect(reply.headers["alt-svc"]).toBe(`h3=":${String(rig.port)}"; ma=86400`);
  const seen = JSON.parse(reply.body) as Echo;
  const field = (name: string) => seen.rawHeaders[seen.rawHeaders.findIndex((one) => one.toLowerCase() === name) + 1];
  expect(seen.url).toBe("/a%2Fb?c");
  expect([field("via"), field("x-forwarded-proto"), field("x-forwarded-for"), field("x_under_score")]).toEqual([
    expect.stringMatching(/HTTP\/3 taskgate-/),
    "https",
    "127.0.0.1",
    "1",
  ]);
});
