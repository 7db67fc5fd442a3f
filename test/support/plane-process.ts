import { fork } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { startTestPlane } from "../../src/dataplanes/embedded/testing/start-plane.ts";
import { startTestEnvoy } from "../../src/dataplanes/envoy/testing/start-envoy-plane.ts";
import { heldBytes } from "../../src/dataplanes/testing/memory.ts";
import { startRig } from "../../src/dataplanes/testing/rig.ts";
import type { ServiceInput } from "../../src/dataplanes/testing/table-builder.ts";

/** Here no vitest runs: see `PLANE`. */
const ON_ENVOY = process.env.TASKGATE_TEST_PLANE === "envoy";

/** What a process holds, after its garbage was collected; of an Envoy, what it has in use. Bytes. */
export interface Held {
  readonly rss: number;
  readonly heap: number;
  /** Of buffers; of an Envoy, all that it has in use. */
  readonly buffers: number;
  readonly descriptors: number;
  /** Requests, streams and connections that the plane has open. */
  readonly flows: number;
}

/** A plane in a process of its own, so that what it holds is its own. Disposing kills it. */
export interface PlaneProcess extends AsyncDisposable {
  readonly port: number;
  service(input: ServiceInput): Promise<void>;
  held(): Promise<Held>;
  /** RSS now, without collecting. */
  rss(): Promise<number>;
}

type Question =
  | { readonly id: number; readonly kind: "start"; readonly limits: object }
  | { readonly id: number; readonly kind: "service"; readonly input: ServiceInput }
  | { readonly id: number; readonly kind: "held" | "rss" };
interface Answer {
  readonly id: number;
  readonly value: unknown;
}
type Asked = Question extends infer One ? (One extends Question ? Omit<One, "id"> : never) : never;

export async function startPlaneProcess(limits: object = {}): Promise<PlaneProcess> {
  const child = fork(fileURLToPath(import.meta.url), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const waiting = new Map<number, (value: unknown) => void>();
  let last = 0;
  let over = false;
  child.on("message", ({ id, value }: Answer) => {
    waiting.get(id)?.(value);
    waiting.delete(id);
  });
  child.once("exit", () => (over = true));
  const ask = <T>(question: Asked): Promise<T> =>
    new Promise((resolve, reject) => {
      if (over) return reject(new Error("the plane's process is gone"));
      const id = (last += 1);
      waiting.set(id, resolve as (value: unknown) => void);
      child.once("exit", () => reject(new Error("the plane's process ended")));
      child.send({ ...question, id });
    });
  child.setMaxListeners(0);
  const port = await ask<number>({ kind: "start", limits });
  return {
    port,
    service: (input) => ask({ kind: "service", input }),
    held: () => ask({ kind: "held" }),
    rss: () => ask({ kind: "rss" }),
    async [Symbol.asyncDispose]() {
      if (over) return;
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** The child's side: one plane, asked by messages. */
function serveQuestions(answer: (reply: Answer) => void): void {
  const rigs = new Map<"rig", Awaited<ReturnType<typeof startRig>>>();
  let flows = 0;
  // Counts only: the test's own gatekeeper would remember every request, and with it all that hangs on it.
  const opened = () => {
    flows += 1;
    return { closed: () => void (flows -= 1) };
  };
  const reply = async (question: Question): Promise<unknown> => {
    if (question.kind === "start") {
      const rig = await startRig(ON_ENVOY ? startTestEnvoy : startTestPlane, { limits: question.limits });
      rigs.set("rig", Object.assign(rig, { gatekeeper: Object.assign(rig.gatekeeper, { opened }) }));
      return rig.port;
    }
    const rig = rigs.get("rig")!;
    switch (question.kind) {
      case "service":
        rig.table.service(question.input);
        return rig.publish();
      case "held": {
        const held = ON_ENVOY ? await rig.held() : heldBytes();
        const { rss, heapUsed: heap } = process.memoryUsage();
        const descriptors = readdirSync("/proc/self/fd").length;
        return { rss: ON_ENVOY ? held : rss, heap, buffers: held, descriptors, flows };
      }
      case "rss":
        return ON_ENVOY ? rig.held() : process.memoryUsage.rss();
    }
  };
  process.on("message", (question: Question) => {
    void reply(question).then((value) => answer({ id: question.id, value }));
  });
  process.once("disconnect", () => process.exit());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serveQuestions((reply) => process.send?.(reply));
