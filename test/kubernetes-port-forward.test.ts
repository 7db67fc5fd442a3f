import { once } from "node:events";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { systemClock } from "../src/platform/clock.ts";
import { KubernetesClient } from "../src/platform/kubernetes/client.ts";
import { loadKubeconfig } from "../src/platform/kubernetes/kubeconfig.ts";
import { PYTHON_IMAGE } from "../testbed/kubernetes/images.ts";
import { answers, startClusterGate } from "./support/cluster-gate.ts";
import { NO_CLUSTER, sharedCluster, type TestCluster } from "./support/cluster.ts";
import { PLANE } from "./support/gate.ts";

const NAMESPACE = `port-forward-${PLANE}`;
const POD = { namespace: NAMESPACE, name: "servers" };
const ECHO = 7001;
const SOURCE = 7002;
const WEB = 7003;
const ANNOTATIONS = { "taskgate.dev/enabled": "true", "taskgate.dev/services": `web:${String(WEB)}` };
const { signal } = new AbortController();

/** One that gives back what it gets, one that sends for as long as anybody reads, and one of HTTP, for the pod itself alone. */
const SERVERS = `
import asyncio
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data); await writer.drain()
    writer.close()
async def source(reader, writer):
    try:
        while True:
            writer.write(bytes(65536)); await writer.drain()
    except OSError: pass
async def web(reader, writer):
    while head := await reader.readuntil(b"\\r\\n\\r\\n"):
        body = head.split()[1] * 100000
        writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body); await writer.drain()
async def main():
    await asyncio.gather(*[asyncio.start_server(*each) for each in ((echo, "127.0.0.1", ${String(ECHO)}), (source, "0.0.0.0", ${String(SOURCE)}), (web, "127.0.0.1", ${String(WEB)}))])
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
`;

async function readBytes(stream: Duplex, length: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= length) break;
  }
  return Buffer.concat(pieces);
}

describe.skipIf(NO_CLUSTER !== null)("connections to pods through a real API server", () => {
  let cluster: TestCluster;
  let client: KubernetesClient;
  beforeAll(async () => {
    cluster = await sharedCluster();
    await cluster.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
      {
        ...{ apiVersion: "v1", kind: "Pod", metadata: { ...POD, annotations: ANNOTATIONS } },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            { name: "servers", image: PYTHON_IMAGE, imagePullPolicy: "Never", command: ["python3", "-c", SERVERS] },
          ],
        },
      },
    ]);
    await cluster.kubectl(["wait", "-n", NAMESPACE, "--for=condition=Ready", "pod/servers", "--timeout=60s"]);
    client = new KubernetesClient({
      cluster: await loadKubeconfig([cluster.kubeconfig], null, systemClock),
      clock: systemClock,
    });
    // Ready says that the process runs.
    const logs = (): Promise<string> => cluster.kubectl(["logs", "-n", NAMESPACE, "servers"]);
    await vi.waitFor(async () => expect(await logs()).toContain("ready"), { timeout: 30_000, interval: 200 });
  });
  afterAll(async () => {
    client[Symbol.dispose]();
    await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
  });

  test("carry megabytes both ways at once, byte for byte, to what listens on the pod's own loopback", async () => {
    const sent = randomBytes(8 * 1024 * 1024);
    const stream = await client.forward(POD, ECHO, signal);
    stream.end(sent);
    expect((await readBytes(stream, sent.length)).equals(sent)).toBe(true);
    stream.destroy();
  });

  test("are many at once, and none holds up another", async () => {
    const idle = await Promise.all(Array.from({ length: 20 }, () => client.forward(POD, SOURCE, signal)));
    const busy = await Promise.all(Array.from({ length: 20 }, () => client.forward(POD, ECHO, signal)));
    const answers = await Promise.all(
      busy.map(async (stream, at) => {
        const said = `I am ${String(at)}`;
        stream.end(said);
        const answer = await readBytes(stream, said.length);
        stream.destroy();
        return answer.toString();
      }),
    );
    expect(answers).toEqual(busy.map((_, at) => `I am ${String(at)}`));
    for (const stream of idle) stream.destroy();
  });

  test("hold no more of what nobody reads than a little", async () => {
    const stream = await client.forward(POD, SOURCE, signal);
    await once(stream, "readable");
    await new Promise((resolve) => setTimeout(resolve, 500));
    const held = stream.readableLength;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(stream.readableLength).toBe(held);
    expect(held).toBeLessThan(1024 * 1024);
    stream.destroy();
  });

  test("say that nobody listens there, that there is no such pod, and that one may not", async () => {
    const nobody = await client.forward(POD, 7999, signal);
    await expect(text(nobody)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/refused/) as string,
    });
    await expect(client.forward({ ...POD, name: "none" }, ECHO, signal)).rejects.toMatchObject({ code: "not_found" });
    await expect(client.forward(POD, ECHO, AbortSignal.abort(new Error("called off")))).rejects.toThrow("called off");
    const access = await loadKubeconfig([cluster.kubeconfig], null, systemClock);
    using other = new KubernetesClient({
      cluster: { ...access, headers: { "Impersonate-User": "nobody" } },
      clock: systemClock,
    });
    await expect(other.forward(POD, ECHO, signal)).rejects.toMatchObject({ code: "denied" });
  });

  test("are what a gate reaches pods by, which have no address for it, as long as it may", async () => {
    const provider = { name: "far", kubeconfig: cluster.kubeconfig, namespaces: [NAMESPACE], reach: "port-forward" };
    await using gate = await startClusterGate([provider]);
    await answers(gate, "servers", { status: 200, body: "/".repeat(100_000) });
    const answered = await Promise.all(
      Array.from({ length: 30 }, async (_, at) => (await gate.ask("servers.localhost", `/${String(at)}`)).body),
    );
    expect(answered).toEqual(answered.map((_, at) => `/${String(at)}`.repeat(100_000)));
    expect((await gate.ask("servers.localhost", "/", { anonymous: true })).status).toBe(401);
  });

  test("end with their pod", async () => {
    const stream = await client.forward(POD, ECHO, signal);
    stream.write("x");
    await once(stream, "readable");
    const over = text(stream).then(
      () => "ended",
      () => "cut",
    );
    await cluster.kubectl(["delete", "pod", "-n", NAMESPACE, "servers", "--now", "--wait=false"]);
    expect(await over).toMatch(/ended|cut/);
  });
});
