import { once } from "node:events";
import http2 from "node:http2";
import { describe, expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Endpoint, Health, Match } from "../../model/index.ts";
import type { PlaneSuite } from "./plane-test.ts";
import { startHttpApp, type App } from "../testing/apps.ts";
import { ask, RawClient, type Reply } from "../testing/clients.ts";
import { startRig, until, type Rig, type StartPlane } from "../testing/rig.ts";
import { byHost, byPath } from "../testing/table-builder.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";

/** Visitors that stay with their replica, by a cookie that only the gate understands; and endpoints that are left in peace. */
export function describeSticky({ name, start, test }: PlaneSuite): void {
  describe(`${name} data plane: sticky sessions`, () => {
    test("keeps a browser with the replica that it came to, and spreads those that are new", async () => {
      await using apps = await startApps("a", "b", "c");
      await using rig = await startRig(start);
      await publish(rig, apps);
      const visitors = await Promise.all(Array.from({ length: 30 }, () => ask(rig.port, HOST)));
      expect(new Set(visitors.map(({ body }) => nameIn(body))).size).toBe(3);
      for (const visitor of visitors.slice(0, 5)) {
        const cookie = cookieOf(visitor);
        for (let count = 0; count < 6; count += 1) {
          const reply = await ask(rig.port, HOST, { headers: { cookie } });
          expect(nameIn(reply.body)).toBe(nameIn(visitor.body));
          expect(reply.headers["set-cookie"]).toBeUndefined();
        }
      }
    });

    test("says nothing of replicas and addresses in its cookie, keeps it from the job, and leaves other cookies alone", async () => {
      await using apps = await startApps("a", "b");
      await using rig = await startRig(start);
      await publish(rig, apps);
      const first = await ask(rig.port, HOST);
      const port = String(rig.site.port);
      expect(first.headers["set-cookie"]).toEqual([
        expect.stringMatching(new RegExp(`^taskgate-replica-${port}=[\\w-]{16}; Path=/; HttpOnly; SameSite=Lax$`)),
      ]);
      const cookie = `x=1; ${cookieOf(first)}; y=2`;
      expect(JSON.parse((await ask(rig.port, HOST, { headers: { cookie } })).body)).toMatchObject({
        cookie: "x=1; y=2",
      });
      const alone = await ask(rig.port, HOST, { headers: { cookie: cookieOf(first) } });
      expect(JSON.parse(alone.body)).not.toHaveProperty("cookie");
    });

    test("gives a visitor another replica when its own drains, leaves or cannot be reached, and keeps it there", async () => {
      await using apps = await startApps("a", "b", "c");
      await using rig = await startRig(start);
      for (const leave of ["draining", "gone", "dead"] as const) {
        await publish(rig, apps);
        const first = await ask(rig.port, HOST);
        const own = nameIn(first.body);
        if (leave === "draining") await publish(rig, apps, (replica) => (replica === own ? "draining" : "healthy"));
        if (leave === "gone") await publish(rig, apps, (replica) => (replica === own ? null : "healthy"));
        if (leave === "dead") await apps.all.get(own)?.[Symbol.asyncDispose]();
        const moved = await ask(rig.port, HOST, { headers: { cookie: cookieOf(first) } });
        expect([moved.status, nameIn(moved.body) === own], leave).toEqual([200, false]);
        const headers = { cookie: cookieOf(moved) };
        for (let count = 0; count < 5; count += 1) {
          expect(nameIn((await ask(rig.port, HOST, { headers })).body)).toBe(nameIn(moved.body));
        }
      }
    });

    test("knows its visitors in another life and another process", async () => {
      await using apps = await startApps("a", "b", "c");
      await using one = await startRig(start);
      await publish(one, apps);
      const first = await ask(one.port, HOST);
      const id = cookieOf(first).split("=")[1] ?? "";
      await using two = await startRig(start);
      await publish(two, apps);
      const headers = { cookie: `taskgate-replica-${String(two.site.port)}=${id}` };
      for (let count = 0; count < 6; count += 1) {
        expect(nameIn((await ask(two.port, HOST, { headers })).body)).toBe(nameIn(first.body));
      }
    });

    test("takes forged and foreign ids for none", async () => {
      expect(await tossIds(start)).toEqual({ behind: true, before: true });
    });

    test("keeps WebSockets and HTTP/2 visitors too", async () => {
      await using apps = await startApps("a", "b", "c");
      await using rig = await startRig(start);
      await publish(rig, apps);
      const first = await greet(rig.port);
      for (let count = 0; count < 5; count += 1) {
        expect(await greet(rig.port, first.cookie)).toEqual({ name: first.name, cookie: "" });
      }
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const viaHttp2 = async (cookie: string) => {
        const stream = session.request({ ":authority": HOST, ...(cookie === "" ? {} : { cookie }) });
        const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
        let body = "";
        for await (const chunk of stream.setEncoding("utf8")) body += String(chunk);
        return { name: nameIn(body), cookie: (headers["set-cookie"] ?? []).join() };
      };
      const fresh = await viaHttp2("");
      expect(fresh.cookie).toMatch(/^taskgate-replica-/);
      for (let count = 0; count < 5; count += 1) {
        expect(await viaHttp2(first.cookie)).toEqual({ name: first.name, cookie: "" });
      }
      session.destroy();
    });

    test("keeps services of one host apart in path mode", async () => {
      await using apps = await startApps("a", "b");
      await using rig = await startRig(start);
      const match = byPath("paths.localhost", "/nb/");
      await publish(rig, apps, () => "healthy", match);
      const first = await ask(rig.port, "paths.localhost", { path: "/nb/x" });
      expect(first.headers["set-cookie"]).toEqual([
        expect.stringMatching(/^taskgate-replica-\d+-[0-9a-f]{20}=[\w-]{16}; Path=\/nb\/; HttpOnly; SameSite=Lax$/),
      ]);
      for (let count = 0; count < 5; count += 1) {
        const reply = await ask(rig.port, "paths.localhost", { path: "/nb/", headers: { cookie: cookieOf(first) } });
        expect(nameIn(reply.body)).toBe(nameIn(first.body));
      }
    });

    test("sets no cookie where nobody asks for it, and none on a route to one replica", async () => {
      await using apps = await startApps("a", "b");
      await using rig = await startRig(start);
      const endpoints = apps.endpoints(() => "healthy");
      const replicas = { a: [byHost("nb-a.localhost")] };
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints }).service({
        key: "local/s/web",
        policy: { sticky: true },
        matches: [byHost("s.localhost")],
        endpoints,
        replicas,
      });
      await rig.publish();
      expect((await ask(rig.port, HOST)).headers["set-cookie"]).toBeUndefined();
      expect((await ask(rig.port, "nb-a.localhost")).headers["set-cookie"]).toBeUndefined();
      expect((await ask(rig.port, "s.localhost")).headers["set-cookie"]).toHaveLength(1);
    });
  });

  describe(`${name} data plane: endpoints that leave`, () => {
    test.each(["draining", "unhealthy", "gone"] as const)(
      "lets WebSockets, streams and downloads go on: %s",
      async (how) => {
        await using old = await startApps("old");
        await using next = await startApps("next");
        await using rig = await startRig(start);
        rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: old.endpoints(() => "healthy") });
        await rig.publish();
        const socket = new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host: HOST } });
        await once(socket, "message");
        using stream = await RawClient.connect(rig.port, `GET /stream HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
        await until(() => stream.received.includes("tick 1"));
        const leaving = old.endpoints(() => (how === "gone" ? null : how));
        rig.table.endpoints(KEY, [...leaving, ...next.endpoints(() => "healthy")]);
        await rig.publish();
        for (let count = 0; count < 5; count += 1) expect(nameIn((await ask(rig.port, HOST)).body)).toBe("next");
        const seen = stream.received.length;
        await until(() => stream.received.length > seen + 40);
        socket.send("still there?");
        expect(String((await once(socket, "message"))[0])).toBe("still there?");
        expect([stream.over, socket.readyState]).toEqual([false, WebSocket.OPEN]);
        socket.terminate();
      },
    );
  });
}

/** Shows that ids which are none lead nowhere; gives whether a visitor is known still with one behind its own, and with one before it. */
export async function tossIds(start: StartPlane): Promise<{ readonly behind: boolean; readonly before: boolean }> {
  await using apps = await startApps("a", "b");
  await using rig = await startRig(start);
  await publish(rig, apps);
  const first = await ask(rig.port, HOST);
  const own = cookieOf(first);
  const name = own.split("=")[0] ?? "";
  for (const value of ["", "0", "a", "__proto__", "x".repeat(4000), `"q"`]) {
    const reply = await ask(rig.port, HOST, { headers: { cookie: `${name}=${value}` } });
    expect([reply.status, reply.headers["set-cookie"]?.length], value).toEqual([200, 1]);
  }
  const isKnown = async (cookie: string) => {
    const reply = await ask(rig.port, HOST, { headers: { cookie } });
    if (reply.headers["set-cookie"] !== undefined) return false;
    expect(nameIn(reply.body)).toBe(nameIn(first.body));
    return true;
  };
  return { behind: await isKnown(`${own}; ${name}=tossed`), before: await isKnown(`${name}=tossed; ${own}`) };
}

function nameIn(body: string): string {
  return (JSON.parse(body) as { name: string }).name;
}

/** NAME=VALUE of the one cookie that was set. */
function cookieOf({ headers }: Pick<Reply, "headers">): string {
  const [field = "", ...more] = headers["set-cookie"] ?? [];
  if (field === "" || more.length > 0) throw new Error(`not one cookie: ${JSON.stringify(headers["set-cookie"])}`);
  return field.split(";")[0] ?? "";
}

interface Apps extends AsyncDisposable {
  readonly all: ReadonlyMap<string, App>;
  /** Health by replica; null: it is not there. */
  endpoints(health: (replica: string) => Health | null): Endpoint[];
}

/** Jobs that say their name and the Cookie field that they saw; to WebSockets too, which they echo. `/stream` never ends. */
async function startApps(...names: string[]): Promise<Apps> {
  const all = new Map<string, App>();
  for (const name of names) {
    const app = await startHttpApp((req, res) => {
      if (req.url !== "/stream") return void res.end(JSON.stringify({ name, cookie: req.headers.cookie }));
      let ticks = 0;
      const timer = setInterval(() => res.write(`tick ${String((ticks += 1))}\n`), 5);
      res.once("close", () => clearInterval(timer));
    });
    new WebSocketServer({ server: app.server }).on("connection", (socket) => {
      socket.send(name);
      socket.on("message", (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
    });
    all.set(name, app);
  }
  return {
    all,
    endpoints: (healthOf) =>
      [...all].flatMap(([replica, { address }]) => {
        const health = healthOf(replica);
        return health === null ? [] : [{ address, replica, weight: 1, health }];
      }),
    async [Symbol.asyncDispose]() {
      for (const app of all.values()) await app[Symbol.asyncDispose]();
    },
  };
}

async function publish(
  rig: Rig,
  apps: Apps,
  health: (replica: string) => Health | null = () => "healthy",
  match: Match = byHost(HOST),
): Promise<void> {
  const endpoints = apps.endpoints(health);
  rig.table.service({ key: KEY, policy: { sticky: true }, matches: [match], endpoints });
  await rig.publish();
}

/** Who greets a new WebSocket, and the cookie that came with it. */
async function greet(port: number, cookie = ""): Promise<{ name: string; cookie: string }> {
  const headers = { host: HOST, ...(cookie === "" ? {} : { cookie }) };
  const socket = new WebSocket(`ws://127.0.0.1:${String(port)}/`, { headers });
  let set = "";
  socket.once("upgrade", (response) => (set = (response.headers["set-cookie"] ?? []).join().split(";")[0] ?? ""));
  const [data] = (await once(socket, "message")) as [Buffer];
  socket.terminate();
  return { name: data.toString(), cookie: set };
}
