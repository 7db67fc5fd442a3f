import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { join } from "node:path";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { WAIT } from "./support/cluster-gate.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { enter } from "./support/enter.ts";
import { DOMAIN, FrontedGate } from "./support/fronted-gate.ts";
import { ROOT } from "./support/gate.ts";

const script = (name: string): string => join(ROOT, "examples/services", name);

describe.skipIf(NO_OWN_CLUSTER !== null)("a gate behind a Gateway of Contour", () => {
  let cluster: Cluster;
  let fronted: FrontedGate;
  beforeAll(async () => {
    cluster = await ownCluster("v", { with: ["dns", "contour-provisioner"] });
    fronted = await FrontedGate.start(cluster, "contour");
    // Contour has no ListenerSets.
    await fronted.up({ tcp: "listeners" });
    const run = (name: string, service: string, program: string, ...more: readonly string[]): Promise<unknown> =>
      fronted.gate.json("run", "--name", name, "--service", service, ...more, "--", process.execPath, script(program));
    await run("hello", "web=http", "hello.mjs");
    await run("echo", "raw=tcp", "tcp-echo.mjs", "--access", "public");
  });
  afterAll(async () => {
    await fronted[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  });

  test("lets visitors log in by routes that the gate makes", async () => {
    const host = `hello.${DOMAIN}`;
    await fronted.answers(host, "/", 200);
    const session = await enter(fronted.way, host);
    expect(session).toMatch(/^__Host-/);
    expect((await fronted.ask(host, "/", { anonymous: true, headers: { cookie: session } })).status).toBe(200);
    expect((await fronted.ask(host, "/", { anonymous: true })).status).toBe(401);
  });

  test("passes raw ports on by listeners that the gate adds to the Gateway", async () => {
    const port = (await fronted.gate.task("echo")).services[0]?.port ?? 0;
    await vi.waitFor(async () => {
      const socket = connect({ host: fronted.address, port });
      try {
        await once(socket, "connect", { signal: AbortSignal.timeout(2000) });
        socket.write("raw words");
        const [said] = (await once(socket, "data", { signal: AbortSignal.timeout(2000) })) as [Buffer];
        expect(said.toString()).toBe("raw words");
      } finally {
        socket.destroy();
      }
    }, WAIT);
  });
});
