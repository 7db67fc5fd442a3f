import net from "node:net";
import grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGrpcServer } from "../src/dataplanes/envoy/grpc-server.ts";
import { encode } from "../src/dataplanes/envoy/proto/kit.ts";
import { DeltaDiscoveryRequest } from "../src/dataplanes/envoy/proto/tables/discovery.ts";
import { AdsServer } from "../src/dataplanes/envoy/xds/ads-server.ts";
import { cluster, set } from "../src/dataplanes/envoy/xds/testing/resources.ts";
import {
  adsClient,
  openAdsStream,
  SimulatedEnvoy,
  TYPES,
} from "../src/dataplanes/envoy/xds/testing/simulated-envoy.ts";
import { type Authority, makeAuthority, type Pem } from "../src/dataplanes/testing/make-authority.ts";
import { heldBytes } from "../src/dataplanes/testing/memory.ts";
import { systemClock } from "../src/platform/clock.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { until } from "./support/gate.ts";

/** Whoever reaches the address where fleets ask, with and without a certificate: an Envoy that is what it should be has its changes meanwhile. */

const MIB = 1024 * 1024;
const scope = new AsyncDisposableStack();
let authority: Authority;
let own: Pem;
let port: number;
let ads: AdsServer;
let good: SimulatedEnvoy;
let changes = 0;

const target = () => `localhost:${String(port)}`;
const credentials = ({ certificate, key }: Pem, root = authority.certificate) =>
  grpc.credentials.createSsl(Buffer.from(root), Buffer.from(key), Buffer.from(certificate));

beforeAll(async () => {
  authority = await makeAuthority();
  own = await authority.issue(["URI:spiffe://example.com/edge"]);
  const server = await authority.issue(["DNS:localhost"]);
  ads = new AdsServer({
    ...{ clock: systemClock, logger: silentLogger, changed: () => undefined },
    admit: ({ cluster: fleet }) => ({ fleet }),
  });
  const running = await startGrpcServer({
    addresses: [{ host: "127.0.0.1", port: 0 }],
    tls: { ...server, clientAuthority: authority.certificate },
    services: [ads.service],
    logger: silentLogger,
  });
  scope.use(running);
  scope.use(ads);
  port = running.ports[0] ?? 0;
  ads.settled();
  good = scope.use(new SimulatedEnvoy({ target: target(), id: "good", credentials: credentials(own) }).connect());
  good.subscribe("cluster");
});
afterAll(() => scope.disposeAsync());

/** The good one hears of a change. */
async function expectServed(): Promise<void> {
  changes += 1;
  const name = `c${String(changes)}`;
  ads.apply(set(cluster(name)), changes);
  await good.until(() => good.has("cluster", name));
}

test("certificates that are none, another authority's and nobody's, and plain text, get nothing", async () => {
  const stranger = await (await makeAuthority()).issue(["URI:spiffe://example.com/edge"]);
  const shown = [credentials(stranger), grpc.credentials.createSsl(Buffer.from(authority.certificate)), undefined];
  for (const each of shown) {
    using bad = new SimulatedEnvoy({ target: target(), id: "bad", ...(each && { credentials: each }) }).connect();
    bad.subscribe("cluster");
    await bad.until(() => bad.status !== null);
    expect([bad.status?.code, bad.received]).toEqual([grpc.status.UNAVAILABLE, []]);
    await expectServed();
  }
  expect([...ads.status().envoys.keys()]).toEqual(["good"]);
});

test("handshakes that do not end hold up nobody, and little", async () => {
  const held = heldBytes();
  const half = Array.from({ length: 500 }, () => net.connect(port, "127.0.0.1").on("error", () => undefined));
  for (const socket of half) socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
  await expectServed();
  expect(heldBytes() - held).toBeLessThan(32 * MIB);
  for (const socket of half) socket.destroy();
  await expectServed();
});

test("an Envoy that asks for what there is not, answers what it was not told, and never ends, is told nothing and holds little", async () => {
  const client = adsClient(target(), credentials(own));
  scope.defer(() => client.close());
  const node = { id: "hostile", cluster: "local", userAgentName: "x".repeat(MIB) };
  const names = (round: number) => Array.from({ length: 1000 }, (_, at) => `none-${String(round)}-${String(at)}`);
  const requests = [
    ...Object.values(TYPES).map((typeUrl) => ({ typeUrl, responseNonce: "made up", errorDetail: { code: 13, message: "y".repeat(MIB) } })), // prettier-ignore
    ...Array.from({ length: 200 }, (_, at) => ({ typeUrl: `type.googleapis.com/x${String(at)}`, resourceNamesSubscribe: ["a"] })), // prettier-ignore
    ...Array.from({ length: 50 }, (_, at) => ({ typeUrl: TYPES.endpoints, resourceNamesSubscribe: names(at) })),
    ...Array.from({ length: 50 }, (_, at) => ({ typeUrl: TYPES.endpoints, resourceNamesUnsubscribe: names(at) })),
  ];
  const before = process.memoryUsage().heapUsed;
  for (let round = 0; round < 5; round += 1) {
    const call = openAdsStream(client);
    call.on("error", () => undefined).on("data", () => undefined);
    call.write(encode(DeltaDiscoveryRequest, { node, typeUrl: TYPES.cluster }));
    for (const request of requests) call.write(encode(DeltaDiscoveryRequest, request));
    await expectServed();
    call.cancel();
  }
  const streams = Array.from({ length: 1000 }, () => openAdsStream(client).on("error", () => undefined));
  for (const call of streams) call.write(encode(DeltaDiscoveryRequest, { node: { ...node, userAgentName: "" }, typeUrl: TYPES.cluster })); // prettier-ignore
  await expectServed();
  for (const call of streams) call.cancel();
  await until(() => ads.status().envoys.get("good") !== undefined, "the good one");
  await expectServed();
  heldBytes(); // collects garbage
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(64 * MIB);
});
