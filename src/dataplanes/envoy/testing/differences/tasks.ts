import https from "node:https";
import { once } from "node:events";
import { expect } from "vitest";
import type { Policy } from "../../../../model/index.ts";
import type { Differences } from "../../../contract/plane-test.ts";
import { echo, freePort, startHttpApp, startTcpApp } from "../../../testing/apps.ts";
import { ask, echoed } from "../../../testing/clients.ts";
import { startGrpcApp } from "../../../testing/grpc-app.ts";
import { startRig, until, type StartPlane } from "../../../testing/rig.ts";
import { selfSigned } from "../../../testing/self-signed.ts";
import { byHost, byPort } from "../../../testing/table-builder.ts";
import { HOST, KEY } from "./serving.ts";

type UpstreamTls = NonNullable<Policy["upstreamTls"]>;

const UNREACHABLE =
  "says of a job whose TLS fails, or that takes too long to connect to, what it says of one that is not there";
const TASK = "task.internal";

/** Which task is believed, and what it is told. */
export const TASK_DIFFERENCES: Differences = {
  "verifies the task: full": unverified({ verify: "full", serverName: TASK }),
  "verifies the task: full, by another name": unverified({ verify: "full", serverName: "x.internal" }, true),
  "verifies the task: full, by its address": unverified({ verify: "full" }, true),
  "verifies the task: authority, another": unverified({
    verify: "authority",
    authority: selfSigned([TASK]).certificate,
  }),

  "says what cannot be used, and what speaks no TLS or nothing at all": {
    why: UNREACHABLE,
    async instead(start) {
      const pem = selfSigned([TASK]);
      await using plain = await startTcpApp((socket) => socket.end("HTTP/1.1 200 OK\r\n\r\n"));
      await using silent = await startTcpApp(() => undefined);
      await using rig = await startRig(start);
      const upstreamTls = { verify: "full", serverName: TASK, authority: pem.certificate } as const;
      const slow = { upstreamTls, connectTimeoutMs: 100 };
      const bad = { upstreamTls: { ...upstreamTls, identity: pem.certificate } };
      rig.table
        .service({
          key: "local/a/web",
          policy: { upstreamTls },
          matches: [byHost("a.localhost")],
          endpoints: [plain.address],
        })
        .service({ key: "local/b/web", policy: slow, matches: [byHost("b.localhost")], endpoints: [silent.address] })
        .service({ key: "local/c/web", policy: bad, matches: [byHost("c.localhost")], endpoints: [plain.address] });
      await rig.publish();
      const asked = ["a", "b", "c"].map((host) => ask(rig.port, `${host}.localhost`).then(({ status }) => status));
      expect(await Promise.all(asked)).toEqual([502, 502, 502]);
      const problems = rig.status().problems.map(({ code, subject }) => `${code} ${subject}`);
      expect(problems).toEqual(["upstream_tls_unusable local/c/web"]);
      expect(JSON.stringify(rig.status().problems)).not.toContain("BEGIN");
    },
  },

  "asks about health actively where it is told to, in HTTP, TCP and gRPC": {
    why: "asks about the health of raw services that have a port or a server name, as those with a host alone are dialled by tunnels",
    async instead(start) {
      let well = true;
      await using web = await startHttpApp((req, res) => {
        res.writeHead(req.url === "/health" && well ? 204 : 500).end();
      });
      await using raw = await startTcpApp((socket) => socket.end());
      await using rpc = await startGrpcApp();
      await using rig = await startRig(start);
      const check = { everyMs: 50 };
      const [http, tcp, grpc] = ["local/h/web", "local/t/raw", "local/g/rpc"] as const;
      rig.table
        .service({
          key: http,
          policy: { activeHealth: { ...check, path: "/health" } },
          matches: [byHost("h.localhost")],
          endpoints: [web.address],
        })
        .service({
          key: tcp,
          protocol: "tcp",
          policy: { activeHealth: check },
          guard: "self",
          matches: [byPort(await freePort())],
          endpoints: [raw.address],
        })
        .service({
          key: grpc,
          protocol: "grpc",
          policy: { activeHealth: check },
          matches: [byHost("g.localhost")],
          endpoints: [rpc.address],
        });
      await rig.publish();
      const verdicts = () =>
        [...rig.status().endpoints].map(([key, verdict]) => `${key.split(" ")[0] ?? ""} ${verdict}`);
      const all = (verdict: string) => [http, tcp, grpc].every((key) => verdicts().includes(`${key} ${verdict}`));
      await until(() => all("healthy"));
      well = false;
      rpc.serving = false;
      await raw[Symbol.asyncDispose]();
      await until(() => all("unhealthy"));
      well = true;
      rpc.serving = true;
      await until(() => verdicts().includes(`${http} healthy`) && verdicts().includes(`${grpc} healthy`));
    },
  },

  "takes forged and foreign ids for none": {
    why: "goes by the first of several cookies of a name",
    async instead(start) {
      const names = ["a", "b"];
      const apps = await Promise.all(names.map((name) => startHttpApp((_req, res) => res.end(name))));
      await using scope = new AsyncDisposableStack();
      for (const app of apps) scope.use(app);
      await using rig = await startRig(start);
      const endpoints = apps.map(({ address }, at) => ({
        ...{ address, replica: names[at] ?? "", weight: 1, health: "healthy" as const },
      }));
      rig.table.service({ key: KEY, policy: { sticky: true }, matches: [byHost(HOST)], endpoints });
      await rig.publish();
      const own = await ask(rig.port, HOST);
      const [pair = ""] = own.headers["set-cookie"]?.[0]?.split(";") ?? [];
      const [name = ""] = pair.split("=");
      for (const value of ["", "0", "a", "__proto__", "x".repeat(4000), `"q"`]) {
        const reply = await ask(rig.port, HOST, { headers: { cookie: `${name}=${value}` } });
        expect([reply.status, reply.headers["set-cookie"]?.length], value).toEqual([200, 1]);
      }
      for (const [cookie, isNew] of [
        [`${pair}; ${name}=tossed`, false],
        [`${name}=tossed; ${pair}`, true],
      ] as const) {
        const reply = await ask(rig.port, HOST, { headers: { cookie } });
        expect(reply.headers["set-cookie"] !== undefined, cookie).toBe(isNew);
        if (!isNew) expect(reply.body).toBe(own.body);
      }
    },
  },

  "shows a job that checks for it its own address as Host and Origin, and nobody else": {
    why: "tells such a job of the gate's own origin that it is the job's, whatever Host says, and leaves no path in Referer",
    async instead(start) {
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/go") res.writeHead(302, { location: `http://${own}/lab?x` }).end();
        else echo(req, res);
      });
      const own = `localhost:${String(app.address.port)}`;
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, policy: { rewriteHost: true }, matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      const host = `${HOST}:${String(rig.site.port)}`;
      const headers = { origin: `http://${host}`, referer: `http://${host}/lab?x` };
      const seen = echoed(await ask(rig.port, host, { headers }));
      expect(["host", "origin", "referer", "x-forwarded-host"].map((field) => seen.header(field))).toEqual([
        own,
        `http://${own}`,
        `http://${own}/`,
        host,
      ]);
      for (const origin of ["http://evil.localhost", `http://${HOST}:1`]) {
        expect(echoed(await ask(rig.port, host, { headers: { origin } })).header("origin")).toBe(origin);
      }
      expect((await ask(rig.port, host, { path: "/go" })).headers.location).toBe(`http://${host}/lab?x`);
    },
  },
};

/** Of a task that is not believed; `known`: though its authority is. */
function unverified(tls: UpstreamTls, known = false): Differences[string] {
  return {
    why: UNREACHABLE,
    async instead(start: StartPlane) {
      const pem = selfSigned([TASK]);
      let heard = 0;
      const server = https.createServer({ cert: pem.certificate, key: pem.key }, (_req, res) => {
        heard += 1;
        res.end();
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as { readonly port: number };
      await using rig = await startRig(start);
      const upstreamTls = known ? { ...tls, authority: pem.certificate } : tls;
      const endpoints = [{ ip: "127.0.0.1", port }];
      rig.table.service({ key: KEY, policy: { upstreamTls }, matches: [byHost(HOST)], endpoints });
      await rig.publish();
      expect((await ask(rig.port, HOST)).status).toBe(502);
      expect([rig.explained, heard]).toEqual([["connect_failed"], 0]);
      server.close();
    },
  };
}
