import {
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceClientConstructor,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import WebSocket from "ws";
import type { TaskView } from "../src/api/wire.ts";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { WAIT } from "./support/cluster-gate.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { enter } from "./support/enter.ts";
import { DOMAIN, exampleObjects, FrontedGate, GATE_HOST, NAMESPACE } from "./support/fronted-gate.ts";
import { ROOT } from "./support/gate.ts";

const PAGE = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
const script = (name: string): string => join(ROOT, "examples/services", name);

/** TLS of a task's own, which says who it was asked for. Gives the program's path. */
async function writeTlsTask(folder: string, { certificate, key }: ReturnType<typeof selfSigned>): Promise<string> {
  const path = join(folder, "task.cjs");
  const options = JSON.stringify({ cert: certificate, key });
  const answer = 'socket.on("error", () => undefined).end("own TLS of " + socket.servername)';
  const listen = 'listen(Number(process.env.PORT), "127.0.0.1")';
  await writeFile(path, `require("node:tls").createServer(${options}, (socket) => ${answer}).${listen};`);
  return path;
}

describe.skipIf(NO_OWN_CLUSTER !== null)("a gate behind a Gateway of Envoy Gateway", () => {
  let cluster: Cluster;
  let fronted: FrontedGate;
  let folder: string;
  const own = selfSigned([`*.tls.${DOMAIN}`]);
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "taskgate-front-test-"));
    cluster = await ownCluster("v", { with: ["dns", "envoy-gateway"] });
    fronted = await FrontedGate.start(cluster);
    await fronted.up(null);
    await run("hello", "web=http", script("hello.mjs"));
    await run("chat", "web=http", script("chat.mjs"));
    await run("rpc", "api=grpc", script("grpc-echo.mjs"));
    await run("echo", "raw=tcp", script("tcp-echo.mjs"), "--access", "public");
    await run("own", "db=tls", await writeTlsTask(folder, own), "--access", "public");
  });
  afterAll(async () => {
    await fronted[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
    await cluster[Symbol.asyncDispose]();
  });

  const run = (name: string, service: string, program: string, ...more: readonly string[]): Promise<TaskView> =>
    fronted.gate.json<TaskView>("run", "--name", name, "--service", service, ...more, "--", process.execPath, program);

  async function restart(front: object | null): Promise<void> {
    await fronted.gate.kill("SIGTERM");
    await fronted.up(front);
  }

  async function problems(): Promise<readonly object[]> {
    const { body } = await fronted.gate.ask(GATE_HOST, "/.taskgate/api/v1/problems");
    return (JSON.parse(body) as { readonly problems: readonly object[] }).problems;
  }

  async function rawPort(name: string): Promise<number> {
    const port = (await fronted.gate.task(name)).services[0]?.port ?? null;
    if (port === null) throw new Error(`${name} has no port`);
    return port;
  }

  /** One connection by the Gateway that lasts. */
  async function openRaw(port: number): Promise<Disposable & { say(words: string): Promise<string> }> {
    const socket = connectTcp({ host: fronted.address, port });
    await once(socket, "connect");
    return {
      async say(words) {
        socket.write(words);
        const [said] = (await once(socket, "data", { signal: AbortSignal.timeout(3000) })) as [Buffer];
        return said.toString();
      },
      [Symbol.dispose]: () => socket.destroy(),
    };
  }

  const talk = (port: number, words: string): Promise<string> =>
    vi.waitFor(async () => {
      using raw = await openRaw(port);
      return await raw.say(words);
    }, WAIT);

  /** What the task says by its own TLS, and its certificate. */
  const tlsWords = (serverName: string): Promise<string> =>
    vi.waitFor(async () => {
      const socket = connectTls({ host: fronted.address, port: 443, servername: serverName, ca: own.certificate });
      const said = await text(socket);
      socket.destroy();
      return said;
    }, WAIT);

  async function openSession(name: string): Promise<Disposable & { say(words: string): Promise<string> }> {
    const socket = openChat(name, await enter(fronted.way, `${name}.${DOMAIN}`));
    await once(socket, "open");
    return {
      async say(words) {
        socket.send(words);
        const [said] = (await once(socket, "message", { signal: AbortSignal.timeout(3000) })) as [Buffer];
        return said.toString();
      },
      [Symbol.dispose]: () => socket.terminate(),
    };
  }

  async function listeners(): Promise<readonly string[]> {
    const path = "jsonpath={.spec.listeners[*].name}";
    return (await cluster.kubectl(["-n", NAMESPACE, "get", "gateway/visitors", "-o", path])).split(" ").sort();
  }

  /** What a browser does, and what programs do. */
  async function expectVisits(): Promise<void> {
    const host = `hello.${DOMAIN}`;
    await fronted.answers(host, "/", 200);
    // A browser without a session is sent to the login, by the addresses that visitors use, and comes back.
    const sent = await fronted.ask(host, "/lab?a=b", { anonymous: true, headers: PAGE });
    expect(sent.status).toBe(302);
    expect(sent.headers.location).toMatch(new RegExp(`^https://${GATE_HOST}/\\.taskgate/login\\?`));
    const session = await enter(fronted.way, host);
    expect(session).toMatch(/^__Host-/);
    const page = await fronted.ask(host, "/", { anonymous: true, headers: { cookie: session } });
    expect(page.status).toBe(200);
    // Whom nobody knows gets nothing.
    expect((await fronted.ask(host, "/", { anonymous: true })).status).toBe(401);
    expect((await fronted.ask(host, "/x?y", { anonymous: true, listener: "http", headers: PAGE })).headers.location).toBe(`https://${host}/x?y`); // prettier-ignore
    using chat = await openSession("chat");
    expect(await chat.say("hello there")).toBe("hello there");
    expect(await callEcho("a")).toBe("a");
    await expect(callEcho("a", null)).rejects.toMatchObject({ code: 16 });
  }

  function openChat(name: string, cookie: string): WebSocket {
    const host = `${name}.${DOMAIN}`;
    const tls = { servername: host, ca: fronted.certificate };
    return new WebSocket(`wss://${fronted.address}/`, {
      ...tls,
      headers: { host, cookie },
      origin: `https://${host}`,
    });
  }

  function callEcho(words: string, token: string | null = fronted.gate.token()): Promise<string> {
    const proto = loadPackageDefinition(loadSync(script("echo.proto")));
    const { Echo } = (proto as unknown as { taskgate: { example: { Echo: ServiceClientConstructor } } }).taskgate
      .example;
    const client = new Echo(`${fronted.address}:9090`, credentials.createSsl(Buffer.from(fronted.certificate)), {
      "grpc.ssl_target_name_override": `rpc.${DOMAIN}`,
      "grpc.default_authority": `rpc.${DOMAIN}:9090`,
    });
    const login = new Metadata();
    if (token !== null) login.set("authorization", `Bearer ${token}`);
    return new Promise<string>((resolve, reject) => {
      const answered = (error: ServiceError | null, answer?: { readonly text: string }): void => {
        client.close();
        if (error === null) resolve(answer?.text ?? "");
        else reject(error);
      };
      const method = (client as unknown as { Once: (...args: unknown[]) => void }).Once.bind(client);
      method({ text: words }, login, { deadline: Date.now() + 5000 }, answered);
    });
  }

  test("lets visitors log in, by routes that were written by hand", async () => {
    await cluster.apply(exampleObjects("routes-by-hand.yaml"));
    await expectVisits();
    await cluster.kubectl(["-n", NAMESPACE, "delete", "httproute/taskgate-http", "grpcroute/taskgate-grpc"]);
  });

  test("lets them log in by routes that the gate makes, and passes raw ports and TLS through", async () => {
    await restart({});
    await expectVisits();
    expect(await fronted.made("httproute")).toHaveLength(1);
    expect(await fronted.made("grpcroute")).toHaveLength(1);
    expect(await talk(await rawPort("echo"), "raw words")).toBe("raw words");
    const serverName = (await fronted.gate.task("own")).services[0]?.host ?? "";
    expect(serverName).toMatch(/\.tls\.apps\.example\.com$/);
    expect(await tlsWords(serverName)).toBe(`own TLS of ${serverName}`);
    expect(await problems()).toEqual([]);
  });

  test("knows visitors by their own addresses, and believes nobody else", async () => {
    const nodeInPods = cluster.plan.podRange.replace(/0\/16$/, "1");
    const host = `hello.${DOMAIN}`;
    await fronted.ask(host, "/seen", { headers: { "x-forwarded-for": "6.6.6.6", "x-forwarded-proto": "http" } });
    const { stdout } = await fronted.gate.cli("audit", "--json");
    const lines = stdout.split("\n").filter((line) => line !== "");
    const peers = lines.map((line) => (JSON.parse(line) as { readonly peer?: string }).peer);
    // It is the node that dials the Gateway's ClusterIP for this machine.
    expect(peers).toContain(nodeInPods);
    expect(peers).not.toContain("6.6.6.6");
  });

  test("keeps what lasts while ports come and go, and takes away what nobody serves any more", async () => {
    using chat = await openSession("chat");
    using raw = await openRaw(await rawPort("echo"));
    for (const name of ["more-a", "more-b", "more-c"]) {
      await run(name, "raw=tcp", script("tcp-echo.mjs"), "--access", "public");
      expect(await talk(await rawPort(name), name)).toBe(name);
    }
    expect(await fronted.made("tcproute")).toHaveLength(4);
    await fronted.gate.json("rm", "more-a", "more-b", "more-c");
    await vi.waitFor(async () => expect(await fronted.made("tcproute")).toHaveLength(1), WAIT);
    expect(await chat.say("still here")).toBe("still here");
    expect(await raw.say("here too")).toBe("here too");
  });

  test("adds listeners to the Gateway where it has no sets, and takes its own away, nobody else's", async () => {
    await restart({ tcp: "listeners" });
    expect(await talk(await rawPort("echo"), "by a listener")).toBe("by a listener");
    await vi.waitFor(async () => expect(await fronted.made("listenerset")).toEqual([]), WAIT);
    expect(await listeners()).toEqual(["grpc", "http", "https", `taskgate-${String(await rawPort("echo"))}`, "tls"]);
  });

  test("makes routes elsewhere with a grant", async () => {
    await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: "routes" } }]);
    const everywhere = { op: "add", value: { namespaces: { from: "All" } } };
    const patch = [0, 1, 2, 3].map((at) => ({ ...everywhere, path: `/spec/listeners/${String(at)}/allowedRoutes` }));
    const patching = ["-n", NAMESPACE, "patch", "gateway/visitors", "--type", "json", "-p", JSON.stringify(patch)];
    await cluster.kubectl(patching);
    await restart({ namespace: "routes", tcp: "off" });
    await expectVisits();
    await vi.waitFor(async () => expect(await fronted.made("httproute")).toEqual([]), WAIT);
    expect(await fronted.made("referencegrant")).toHaveLength(1);
  });

  test("says which listener is not there, by name", async () => {
    await restart({ listeners: { https: "no-such" }, tcp: "off" });
    await vi.waitFor(async () => {
      expect(await problems()).toContainEqual(expect.objectContaining({ code: "front_refused", subject: "front" }));
    }, WAIT);
    expect(JSON.stringify(await problems())).toContain("no-such");
  });

  test("leaves nothing once there is none, and the Gateway as it was", async () => {
    await restart(null);
    for (const kind of ["httproute", "grpcroute", "tlsroute", "tcproute", "listenerset", "referencegrant"]) {
      await vi.waitFor(async () => expect(await fronted.made(kind, ["-A"]), kind).toEqual([]), WAIT);
    }
    await vi.waitFor(async () => expect(await listeners()).toEqual(["grpc", "http", "https", "tls"]), WAIT);
  });
});
