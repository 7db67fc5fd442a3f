import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import type { EnvoysView } from "../src/api/wire-envoys.ts";
import type { TaskView } from "../src/api/wire.ts";
import { freePort } from "../src/dataplanes/testing/apps.ts";
import { envoyProgram } from "../testbed/envoy.ts";
import { NO_CLUSTER, sharedCluster, type TestCluster } from "./support/cluster.ts";
import { enter } from "./support/enter.ts";
import { type Answer, type Ask, startTestGate, type TestGate } from "./support/gate.ts";
import { jobNamespace, jobPod } from "./support/job-pod.ts";
import { OpenFlows } from "./support/open-flows.ts";

const NAMESPACE = "replicas";
const GATE_HOST = "taskgate.localhost";
const LEASE_S = 3;
const WAIT = { timeout: 40_000, interval: 50 };
const NAMES = { web: "web", api: "grpc", raw: "tcp" };

/** Two gates of one store, in processes of their own, and real pods. */
describe.skipIf(NO_CLUSTER !== null)("several gates on one store", () => {
  let cluster: TestCluster;
  const folder = mkdtempSync(join(tmpdir(), "tg-replicas-"));
  beforeAll(async () => {
    cluster = await sharedCluster();
    await cluster.apply([...jobNamespace(NAMESPACE), jobPod(NAMESPACE, "job")]);
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await cluster.kubectl(["delete", "namespace", NAMESPACE, "--wait=false"]);
    await cluster.kubectl(["delete", "pods", "--all", "-n", NAMESPACE, "--force", "--grace-period=0"]);
  });

  /** What each gate is configured by; `own`: of this one alone. */
  function configFile(store: string, name: string, own: object = {}): string {
    const path = join(folder, `${store}-${name}.yaml`);
    const rights = [{ namespaces: [NAMESPACE], ports: true }];
    const provider = {
      type: "kubernetes",
      name: "prod",
      kubeconfig: cluster.kubeconfig,
      namespaces: [NAMESPACE],
      rights,
    };
    const config = {
      store: {
        type: "kubernetes",
        name: store,
        namespace: NAMESPACE,
        kubeconfig: cluster.kubeconfig,
        leaseDuration: `${String(LEASE_S)}s`,
      },
      ...{ providers: [provider], local: { enabled: false }, tcp: { ports: "23100-23199" }, ...own },
    };
    writeFileSync(path, JSON.stringify(config));
    return path;
  }

  const leaseOf = async (store: string, lead: string): Promise<{ readonly holder: string; readonly terms: number }> => {
    const template = "-o=jsonpath={.spec.holderIdentity} {.spec.leaseTransitions}";
    const [holder = "", terms = ""] = (
      await cluster.kubectl(["get", "lease", `${store}-${lead}`, "-n", NAMESPACE, template])
    ).split(" ");
    return { holder, terms: Number(terms) };
  };

  /** Ms from now until somebody else leads in writing. */
  async function untilTaken(store: string, before: string): Promise<number> {
    const since = performance.now();
    await vi.waitFor(
      async () => {
        const { holder } = await leaseOf(store, "claims");
        expect(holder).not.toBe("");
        expect(holder).not.toBe(before);
      },
      { timeout: 40_000, interval: 250 },
    );
    return performance.now() - since;
  }

  const portOf = ({ services }: TaskView): number =>
    Number(new URL(services.find(({ name }) => name === "tcp")?.url ?? "").port);

  /** What its services are called, and at which port the raw one is: the rest is of where a gate listens. */
  const namesOf = ({ services }: TaskView) => services.map(({ name, forward, port }) => ({ name, forward, port }));

  /** Whether bytes come back from the raw port. */
  async function echoes(host: string, port: number): Promise<boolean> {
    const socket = connect({ host, port });
    socket.on("error", () => undefined).write("ping");
    const [data] = (await once(socket, "data", { signal: AbortSignal.timeout(5000) })) as [Buffer];
    socket.destroy();
    return data.toString() === "ping";
  }

  describe("with their own planes", () => {
    let one: TestGate;
    let two: TestGate;
    let turn = 0;
    /** As through a balancer that sends each request to the next gate. */
    const ask = (host: string, path: string, asked?: Ask): Promise<Answer> =>
      [one, two][(turn += 1) % 2]!.ask(host, path, asked);
    const balanced = { ask, token: () => one.token(), file: () => one.file() };
    const api = async <T>(method: string, path: string, body?: object, token?: string): Promise<T> => {
      const headers = {
        "content-type": "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      };
      const answer = await ask(GATE_HOST, `/.taskgate/api/v1${path}`, {
        method,
        headers,
        anonymous: true,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (answer.status >= 300) throw new Error(`${method} ${path}: ${String(answer.status)} ${answer.body}`);
      return (answer.body === "" ? undefined : JSON.parse(answer.body)) as T;
    };

    beforeAll(async () => {
      const port = await freePort();
      one = await startTestGate({ config: configFile("plain", "one"), port, dataPlane: "embedded" });
      two = await startTestGate({
        config: configFile("plain", "two"),
        port,
        address: "127.0.0.2",
        dataPlane: "embedded",
      });
      for (const gate of [one, two]) {
        await vi.waitFor(async () => expect((await gate.ask("job.localhost", "/who")).body).toBe("job"), WAIT);
      }
    });
    afterAll(async () => {
      for (const gate of [one, two]) await gate[Symbol.asyncDispose]();
    });

    test("they have the same names and ports, which are written by one of them alone", async () => {
      const [mine, theirs] = await Promise.all([one.task("job"), two.task("job")]);
      expect(namesOf(theirs)).toEqual(namesOf(mine));
      const port = portOf(mine);
      expect(await echoes("127.0.0.1", port)).toBe(true);
      expect(await echoes("127.0.0.2", port)).toBe(true);
      expect((await leaseOf("plain", "claims")).terms).toBe(1);
    });

    test("a login goes through them by turns, a session is good at both, and void at both at once when it is ended", async () => {
      for (const first of [0, 1]) {
        turn = first;
        const { id, token } = await api<{ id: string; token: string }>(
          "POST",
          "/tokens",
          { name: "by turns" },
          one.token(),
        );
        const cookie = await enter(balanced, "job.localhost", token);
        const statuses = async (): Promise<readonly number[]> => [
          (await one.ask("job.localhost", "/who", { anonymous: true, headers: { cookie } })).status,
          (await two.ask("job.localhost", "/who", { anonymous: true, headers: { cookie } })).status,
        ];
        expect(await statuses()).toEqual([200, 200]);
        await one.ask(GATE_HOST, `/.taskgate/api/v1/tokens/${id}`, { method: "DELETE" });
        const since = performance.now();
        await vi.waitFor(async () => expect(await statuses()).toEqual([401, 401]), { timeout: 5000, interval: 5 });
        expect(performance.now() - since).toBeLessThan(1000);
      }
    });

    test("a command line logs in by turns: begun at one, allowed at the other, asked for at either", async () => {
      for (const first of [0, 1]) {
        turn = first;
        const begun = await api<{ deviceCode: string; userCode: string }>("POST", "/login/device", {
          client: "laptop",
        });
        const { userCode, deviceCode } = begun;
        expect(await api("POST", "/login/device/show", { userCode }, one.token())).toMatchObject({ client: "laptop" });
        await api("POST", "/login/device/answer", { userCode, approve: true }, two.token());
        const { token } = await api<{ token: string }>("POST", "/login/device/poll", { deviceCode });
        for (let time = 0; time < 2; time += 1)
          expect(await api<TaskView[]>("GET", "/tasks", undefined, token)).toBeDefined();
      }
    });

    test("what is shared at one opens at the other, and is closed there when it is taken back", async () => {
      const [grant] = await one.json<{ id: string; link: string }[]>("share", "job", "--link", "--service", "web");
      const link = grant?.link ?? "";
      const opened = await two.ask(GATE_HOST, "/.taskgate/api/v1/links/redeem", {
        ...{
          method: "POST",
          anonymous: true,
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ link }),
        },
      });
      expect(opened.status, opened.body).toBe(200);
      const { token } = JSON.parse(opened.body) as { token: string };
      const cookie = await enter(balanced, "job.localhost", token);
      expect((await one.ask("job.localhost", "/who", { anonymous: true, headers: { cookie } })).status).toBe(200);
      await two.cli("unshare", "job", "--links");
      await vi.waitFor(
        async () => {
          for (const gate of [one, two]) {
            expect((await gate.ask("job.localhost", "/who", { anonymous: true, headers: { cookie } })).status).not.toBe(
              200,
            );
          }
        },
        { timeout: 5000, interval: 20 },
      );
    });

    test("the one that leads is killed under load: the other loses no request, leads in its place, and has what comes", async () => {
      const [before, known] = await Promise.all([leaseOf("plain", "claims"), two.task("job")]);
      const load = startLoad(two, "127.0.0.2");
      await sleep(500);
      await one.kill("SIGKILL");
      const taken = untilTaken("plain", before.holder);
      await cluster.apply([jobPod(NAMESPACE, "late")]);
      expect(await taken).toBeLessThan((LEASE_S + 3) * 1000);
      await vi.waitFor(async () => expect((await two.ask("late.localhost", "/who")).body).toBe("late"), WAIT);
      expect(namesOf(await two.task("job"))).toEqual(namesOf(known));
      expect(portOf(await two.task("late"))).not.toBe(portOf(known));
      expect(await load.end()).toEqual([200]);
      expect(load.count).toBeGreaterThan(100);
      expect((await leaseOf("plain", "claims")).terms).toBe(before.terms + 1);
    });

    test("one that comes back has what the other decided meanwhile; one that slept and wakes writes nothing over it", async () => {
      await one.up();
      await vi.waitFor(async () => expect((await one.ask("late.localhost", "/who")).body).toBe("late"), WAIT);
      const before = await leaseOf("plain", "claims");
      process.kill(two.file().pid, "SIGSTOP");
      onTestFinished(() => void process.kill(two.file().pid, "SIGCONT"));
      await untilTaken("plain", before.holder);
      await cluster.apply([jobPod(NAMESPACE, "later")]);
      await vi.waitFor(async () => expect((await one.ask("later.localhost", "/who")).body).toBe("later"), WAIT);
      const decided = namesOf(await one.task("later"));
      process.kill(two.file().pid, "SIGCONT");
      await vi.waitFor(async () => expect((await two.ask("later.localhost", "/who")).body).toBe("later"), WAIT);
      await sleep(1000);
      for (const gate of [one, two]) expect(namesOf(await gate.task("later"))).toEqual(decided);
      expect((await leaseOf("plain", "claims")).terms).toBe(before.terms + 1);
    });
  });

  describe("with Envoys that both tell", () => {
    let one: TestGate;
    let two: TestGate;
    let port: number;
    let envoy: ChildProcess;

    beforeAll(async () => {
      port = await freePort();
      const addresses = await Promise.all([0, 1].map(async () => [await freePort(), await freePort()] as const));
      const start = (at: 0 | 1): Promise<TestGate> => {
        const [xds, page] = addresses[at]!;
        const own = {
          dataPlane: "envoy",
          envoy: {
            local: false,
            xds: {
              address: `127.0.0.1:${String(xds)}`,
              gateAddress: `127.0.0.1:${String(page)}`,
              advertise: "127.0.0.1",
            },
            fleets: [{ name: "edge", listen: `127.0.0.1:${String(port)}` }],
          },
        };
        return startTestGate({ config: configFile("envoys", String(at), own), port, dataPlane: "envoy" });
      };
      one = await start(0);
      const hosts = addresses.flatMap(([xds]) => ["--host", `127.0.0.1:${String(xds)}`]);
      const ran = await one.cli(
        "envoy",
        "bootstrap",
        "--fleet",
        "edge",
        "--config",
        join(folder, "envoys-0.yaml"),
        "--admin-port",
        String(await freePort()),
        ...hosts,
      );
      expect(ran.code, ran.stderr).toBe(0);
      writeFileSync(join(folder, "edge.json"), ran.stdout);
      const words = [
        "-c",
        join(folder, "edge.json"),
        "--service-node",
        "edge-1",
        "--concurrency",
        "2",
        "--disable-hot-restart",
        "-l",
        "warning",
      ];
      envoy = spawn(await envoyProgram(), words, { stdio: ["ignore", "ignore", "inherit"] });
      await vi.waitFor(async () => expect((await one.ask("job.localhost", "/who", { port })).body).toBe("job"), WAIT);
      two = await start(1);
    });
    afterAll(async () => {
      envoy.kill();
      if (envoy.exitCode === null && envoy.signalCode === null) await once(envoy, "exit");
      for (const gate of [one, two]) await gate[Symbol.asyncDispose]();
    });

    const problemsAt = async (gate: TestGate): Promise<readonly string[]> =>
      (await gate.json<TaskView[]>("ps")).flatMap(({ problems }) => problems.map(({ code }) => code));

    test("the one that an Envoy asks is killed under load: what is open goes on, nobody who is logged in is refused, and the other tells it of what comes", async () => {
      const headers = { "x-taskgate-authorization": `Bearer ${two.token()}` };
      const way = {
        environment: one.environment,
        file: () => ({ port }),
        ask: (host: string, path: string, asked?: Ask) => one.ask(host, path, { ...asked, port }),
        token: () => two.token(),
      };
      const flows = new OpenFlows(way, "job", NAMES);
      const cookie = await enter({ ...way, file: () => ({ ...one.file(), port }) }, "job.localhost");
      const opened = await Promise.all([
        flows.download(headers),
        flows.webSocket(headers),
        flows.grpc(headers),
        flows.connect(headers),
        flows.http2({ cookie }),
        flows.webSocket({ cookie }),
      ]);
      onTestFinished(() => opened.forEach((flow) => flow[Symbol.dispose]()));
      const raw = await startPings(portOf(await two.task("job")));
      const load = startLoad({ ask: way.ask }, "127.0.0.1", { port, cookie });
      // So long that what lasts was told of once, to the gate that holds it.
      await sleep(6000);
      for (const gate of [one, two]) expect(await problemsAt(gate)).not.toContain("unheld_connections");
      const before = await leaseOf("envoys", "claims");
      await one.kill("SIGKILL");
      const killed = performance.now();
      const taken = untilTaken("envoys", before.holder);
      await vi.waitFor(async () => expect((await two.ask("job.localhost", "/who", { port })).body).toBe("job"), WAIT);
      const askedAgain = performance.now() - killed;
      await cluster.apply([jobPod(NAMESPACE, "fresh")]);
      expect(await taken).toBeLessThan((LEASE_S + 3) * 1000);
      await vi.waitFor(
        async () => expect((await two.ask("fresh.localhost", "/who", { port })).body).toBe("fresh"),
        WAIT,
      );
      const envoys = await two.json<EnvoysView>("envoy", "status");
      expect(JSON.stringify(envoys)).toContain("edge-1");
      expect(opened.map((flow) => flow.open)).toEqual(opened.map(() => true));
      expect(raw.lost()).toBe(null);
      expect(await load.end()).toEqual([200]);
      expect(load.count).toBeGreaterThan(100);
      expect(askedAgain).toBeLessThan(5000);
      expect((await leaseOf("envoys", "claims")).terms).toBe(before.terms + 1);
    });
  });
});

/** One connection to a raw port, by which a line goes and comes ten times a second. */
async function startPings(port: number): Promise<{ lost(): string | null }> {
  const socket = connect({ host: "127.0.0.1", port });
  await once(socket, "connect");
  let said = 0;
  let heard = 0;
  let lost: string | null = null;
  socket.on("data", (data) => (heard += data.length)).on("error", () => undefined).on("close", () => (lost = "it was closed")); // prettier-ignore
  const timer = setInterval(() => {
    if (said - heard > 50) lost ??= `${String(said)} bytes went, ${String(heard)} came`;
    socket.write("ping\n");
    said += 5;
  }, 100);
  onTestFinished(() => {
    clearInterval(timer);
    socket.destroy();
  });
  return { lost: () => lost };
}

/** Requests one after the other on each of four connections, until the end: the statuses that came, 0 for none. */
function startLoad(
  gate: Pick<TestGate, "ask"> & Partial<Pick<TestGate, "file" | "token">>,
  host: string,
  by: { readonly port?: number; readonly cookie?: string } = {},
) {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const statuses = new Set<number>();
  const port = by.port ?? gate.file?.().port ?? 0;
  const shown =
    by.cookie === undefined ? { "x-taskgate-authorization": `Bearer ${gate.token?.() ?? ""}` } : { cookie: by.cookie };
  const stop = new AbortController();
  let count = 0;
  const askOne = (): Promise<number> =>
    new Promise((resolve) => {
      const headers = { host: `job.localhost:${String(port)}`, ...shown };
      const sent = request({ host, port, path: "/who", agent, headers }, (answer) => {
        answer
          .resume()
          .on("end", () => resolve(answer.statusCode ?? 0))
          .on("error", () => resolve(0));
      });
      sent.on("error", () => resolve(0)).end();
    });
  const asking = Array.from({ length: 4 }, async () => {
    while (!stop.signal.aborted) {
      statuses.add(await askOne());
      count += 1;
      await sleep(5);
    }
  });
  return {
    get count() {
      return count;
    },
    async end(): Promise<readonly number[]> {
      stop.abort();
      await Promise.all(asking);
      agent.destroy();
      return [...statuses];
    },
  };
}
