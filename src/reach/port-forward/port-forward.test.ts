import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GatewayError, OWNER_ONLY, type Endpoint, type SourceUpdate, type Task } from "../../model/index.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger as logger } from "../../platform/logger.ts";
import { startEmbeddedStore } from "../../store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../../store/embedded/sole-leadership.ts";
import { describeReach } from "../reach.contract.ts";
import type { PodPort } from "./forwards.ts";
import { portForward } from "./port-forward.ts";

/** In place of an API server: the port that is named, on this machine. */
async function connectHere({ port }: PodPort): Promise<Duplex> {
  const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

/** Of rights. */
const nothing: (namespace: string) => Promise<string | null> = () => Promise.resolve(null);

async function startStand(dial: (target: PodPort) => Promise<Duplex> = connectHere, missing = nothing) {
  const scope = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), "taskgate-forward-"));
  scope.defer(() => rm(root, { recursive: true }));
  const deps = { clock: systemClock, logger };
  const store = scope.use(await startEmbeddedStore({ ...deps, file: join(root, "gate.db") }));
  const folder = join(root, "fw");
  const dialler = () => ({ connect: dial, missing, [Symbol.dispose]: () => undefined });
  return {
    folder,
    reach: portForward({ dialler, folder, logger }),
    context: { store, leadership: startSoleLeadership({ ...deps, store }) },
    async listen(greeting: string) {
      const server = createServer((socket) => socket.on("error", () => undefined).end(greeting)).listen(0, "127.0.0.1");
      scope.use(server);
      await once(server, "listening");
      return {
        address: { ip: "192.0.2.1", port: (server.address() as AddressInfo).port },
        pod: greeting.trim().replace(/ /g, "-"),
      };
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

describeReach("port-forward", startStand);

describe("sockets that lead to pods", () => {
  let scope: AsyncDisposableStack;
  beforeEach(() => (scope = new AsyncDisposableStack()));
  afterEach(() => scope.disposeAsync());

  function taskOf(id: string, pods: readonly string[], port = 80): Task {
    const endpoints = pods.map((pod, at): Endpoint => ({
      address: { ip: `192.0.2.${String(at)}`, port },
      replica: pod,
      pod,
      weight: 1,
      health: "healthy",
    }));
    return {
      ...{ id, name: id, kind: "pod", owner: null, namespace: "n", labels: {}, state: "running", access: OWNER_ONLY },
      services: [{ name: "web", protocol: "tcp", guard: "self", exposures: [], policy: {} }],
      endpoints: { web: endpoints },
    };
  }

  async function start(dial: (target: PodPort) => Promise<Duplex>, missing = nothing) {
    const stand = scope.use(await startStand(dial, missing));
    const heard: SourceUpdate[] = [];
    let say: (update: SourceUpdate) => void = () => undefined;
    const inner = {
      name: "far",
      start(publish: (update: SourceUpdate) => void) {
        say = publish;
        return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
      },
    };
    const stop = new AbortController();
    const reached = stand.reach(inner, stand.context);
    const watching = await reached.start((update) => heard.push(update), stop.signal);
    scope.use(watching);
    const sockets = (): string[] => {
      const last = heard.at(-1)!;
      if (last.kind === "stale") throw new Error("it is stale");
      const tasks = last.kind === "whole" ? last.tasks : last.set;
      return tasks.flatMap((task) => task.endpoints.web!.map(({ address }) => ("unix" in address ? address.unix : "")));
    };
    return { stand, heard, watching, sockets, reached, say: (update: SourceUpdate) => say(update) };
  }

  const whole = (...tasks: Task[]): SourceUpdate => ({ kind: "whole", tasks, problems: [] });
  const change = (set: Task[], removed: string[] = []): SourceUpdate => ({
    kind: "change",
    set,
    removed,
    problems: [],
  });
  const refuse = (code: "denied" | "unavailable", message: string) => () =>
    Promise.reject(new GatewayError(code, message));

  test("are the same for as long as any task has the pod, and gone after that", async () => {
    const { say, sockets, stand, watching } = await start(connectHere);
    say(whole(taskOf("a", ["p", "q"]), taskOf("b", ["q"])));
    const [p, q, again] = sockets();
    expect(again).toBe(q);
    expect(p).not.toBe(q);
    say(change([taskOf("a", ["p"])]));
    expect(sockets()).toEqual([p]);
    expect([p, q].map((path) => existsSync(path!))).toEqual([true, true]);
    say(change([], ["b"]));
    await expect.poll(() => existsSync(q!)).toBe(false);
    say(whole());
    await expect.poll(() => existsSync(p!)).toBe(false);
    say(whole(taskOf("a", ["p"])));
    expect(sockets()).toEqual([p]);
    await watching[Symbol.asyncDispose]();
    expect(existsSync(stand.folder)).toBe(false);
  });

  test("keep their connections when the pod leaves, until these end", async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
    scope.use(echo);
    await once(echo, "listening");
    const { port } = echo.address() as AddressInfo;
    const { say, sockets } = await start(connectHere);
    say(whole(taskOf("a", ["p"], port)));
    const socket = connect({ path: sockets()[0]!, allowHalfOpen: true });
    socket.write("before ");
    await once(socket, "readable");
    say(change([], ["a"]));
    socket.end("after");
    expect(await text(socket)).toBe("before after");
  });

  test("tell once that the gate has no right to them, and no more once it has", async () => {
    let dial = refuse("denied", "pods is forbidden") as (target: PodPort) => Promise<Duplex>;
    const { say, sockets, heard } = await start((target) => dial(target));
    say(whole(taskOf("a", ["p"]), taskOf("b", ["q"])));
    const [p, q] = sockets();
    const come = (path: string) => once(connect({ path }), "close");
    await Promise.all([come(p!), come(q!), come(p!)]);
    expect(heard.slice(1).map((update) => (update.kind === "stale" ? [] : update.problems))).toEqual([
      [expect.objectContaining({ subject: "far", code: "forward_denied" })],
    ]);
    dial = refuse("unavailable", "nobody listens");
    await come(p!);
    expect(heard).toHaveLength(2);
    const other = createServer((socket) => socket.end()).listen(0, "127.0.0.1");
    scope.use(other);
    await once(other, "listening");
    dial = () => connectHere({ namespace: "n", pod: "p", port: (other.address() as AddressInfo).port });
    await come(p!);
    expect(heard.at(-1)).toMatchObject({ kind: "change", problems: [] });
  });

  test("are 2000 at most: what is beyond is left out, and says so", async () => {
    const { say, heard } = await start(connectHere);
    const pods = (from: number) => Array.from({ length: 1500 }, (_, at) => `p${String(from + at)}`);
    say(whole(taskOf("a", pods(0)), taskOf("b", pods(1500))));
    const [update] = heard;
    if (update?.kind !== "whole") throw new Error("nothing was told");
    expect(update.tasks.map((task) => task.endpoints.web!.length)).toEqual([1500, 500]);
    expect(update.problems).toMatchObject([{ subject: "far/b", code: "forward_limit" }]);
    say(change([], ["a"]));
    say(change([taskOf("b", pods(1500))]));
    expect(heard.at(-1)).toMatchObject({ problems: [] });
  });

  test("are no use without the right to it, which is told before anybody comes, and in what the reach tells of itself", async () => {
    const asked: string[] = [];
    const { say, heard, reached } = await start(connectHere, (namespace) => {
      asked.push(namespace);
      return Promise.resolve("it may not create pods/portforward");
    });
    expect(reached.report?.()).toMatchObject({ reach: "port-forward", wanted: 0, ready: 0, advice: [] });
    say(whole(taskOf("a", ["a-0", "a-1"]), taskOf("b", ["b-0"])));
    await expect.poll(() => heard.length).toBe(2);
    expect(asked).toEqual(["n"]);
    const message =
      "Pods of n cannot be reached: it may not create pods/portforward. Give the gate's user get and create of pods/portforward there.";
    expect(heard[1]).toMatchObject({ kind: "change", problems: [{ subject: "far", code: "forward_denied", message }] });
    const advice = [{ level: "fail", code: "forward_denied", message, remedy: null }];
    expect(reached.report?.()).toEqual({ provider: "far", reach: "port-forward", wanted: 3, ready: 0, gateways: [], advice }); // prettier-ignore
  });

  test("need a folder whose path leaves room for them", async () => {
    const folder = join(tmpdir(), "x".repeat(100));
    const reach = portForward({
      dialler: () => ({ connect: connectHere, missing: nothing, [Symbol.dispose]: () => undefined }),
      folder,
      logger,
    });
    const stand = scope.use(await startStand());
    const inner = { name: "far", start: () => Promise.reject(new Error("it was started")) };
    const { signal } = new AbortController();
    await expect(reach(inner, stand.context).start(() => undefined, signal)).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("TASKGATE_HOME") as string }); // prettier-ignore
  });
});
