import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startTestPlane } from "../src/dataplanes/embedded/testing/start-plane.ts";
import { echo, freePort, startHttpApp } from "../src/dataplanes/testing/apps.ts";
import { ask, echoed } from "../src/dataplanes/testing/clients.ts";
import { startRig } from "../src/dataplanes/testing/rig.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { debianProgram } from "../testbed/debian-program.ts";

const HOST = "nb.localhost";
const KEY = "local/nb/web";

test.each(["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"])(
  "takes the visitor's address from HAProxy's %s",
  async (how) => {
    await using app = await startHttpApp(echo);
    await using rig = await startRig(startTestPlane, { proxyFrom: ["127.0.0.1"] });
    rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
    await rig.publish();
    const port = await freePort();
    await using proxy = await startHaproxy(
      port,
      `
listen in
  mode tcp
  bind 127.0.0.1:${String(port)}
  source 127.0.0.1
  tcp-request connection set-src ipv4(192.0.2.7)
  server gate 127.0.0.1:${String(rig.port)} ${how}
`,
    );
    const reply = await ask(proxy.port, HOST, { method: "POST", body: "hello" });
    expect([reply.status, echoed(reply).body]).toEqual([200, "hello"]);
    expect(echoed(reply).header("x-forwarded-for")).toBe("192.0.2.7");
  },
);

test.each(["v1", "v2"] as const)(
  "tells the visitor's address to HAProxy's accept-proxy, version %s",
  async (version) => {
    await using app = await startHttpApp(echo);
    const port = await freePort();
    await using proxy = await startHaproxy(
      port,
      `
listen job
  mode http
  bind 127.0.0.1:${String(port)} accept-proxy
  http-request set-header x-proxied %[src]
  server app 127.0.0.1:${String(app.address.port)}
`,
    );
    await using rig = await startRig(startTestPlane);
    const policy = { proxyProtocol: version } as const;
    rig.table.service({
      key: KEY,
      policy,
      matches: [byHost(HOST)],
      endpoints: [{ ip: "127.0.0.1", port: proxy.port }],
    });
    await rig.publish();
    for (let count = 0; count < 3; count++) {
      const reply = await ask(rig.port, HOST);
      expect([reply.status, echoed(reply).header("x-proxied")]).toEqual([200, "127.0.0.1"]);
    }
  },
);

/** Serves once this resolves. */
async function startHaproxy(port: number, sections: string): Promise<AsyncDisposable & { readonly port: number }> {
  const program = debianProgram("haproxy", ["/usr/sbin/haproxy"]);
  const folder = mkdtempSync(join(tmpdir(), "taskgate-haproxy-"));
  const file = join(folder, "haproxy.cfg");
  const times = "defaults\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n";
  writeFileSync(file, `global\n  nbthread 1\n${times}${sections}`);
  const child = spawn(program, ["-db", "-f", file], { stdio: "ignore" });
  for (let tries = 0; !(await takes(port)); tries++) {
    if (tries > 100 || child.exitCode !== null) throw new Error("HAProxy does not start");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
      rmSync(folder, { recursive: true });
    },
  };
}

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
