import { once } from "node:events";
import type { ServerResponse } from "node:http";
import http2 from "node:http2";
import { describe, expect } from "vitest";
import WebSocket, { WebSocketServer } from "ws";
import type { Decision } from "../../model/index.ts";
import type { PlaneSuite } from "./plane-test.ts";
import { echo, startHttpApp, type App } from "../testing/apps.ts";
import { ask } from "../testing/clients.ts";
import { startRig, until, type Rig } from "../testing/rig.ts";
import { byHost } from "../testing/table-builder.ts";
import { ALLOW } from "../testing/test-gatekeeper.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";

interface Seen {
  readonly status: number;
  /** By name in lower case; those of Set-Cookie apart. */
  readonly fields: Readonly<Record<string, string>>;
  readonly cookies: readonly string[];
  readonly trailers: readonly string[];
  readonly body: string;
}

/** What one app must not do to another, nor to the gate, in both protocols of visitors. */
export function describeIsolation({ name, start, test }: PlaneSuite): void {
  const serving = async (app: Pick<App, "address">): Promise<Rig> => {
    const rig = await startRig(start);
    rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
    await rig.publish();
    return rig;
  };

  describe.each(["HTTP/1.1", "HTTP/2"] as const)(`${name} data plane: isolation of apps, %s`, (version) => {
    const get = version === "HTTP/2" ? getHttp2 : getHttp1;

    test.each([
      ["a=1; Domain=localhost"],
      ["a=1; DOMAIN = .LocalHost ; Path=/"],
      ["a=1; Domain=nb.localhost; Domain=localhost"],
      ["a=1; Domain=example.com"],
      ["a=1; Domain=other.localhost"],
      ['a=1; Domain="localhost"'],
      ["a=1;\tdomain\t=\tlocalhost"],
      ["taskgate-session-7080=x"],
      ["__Host-taskgate-session=x; Path=/; Secure"],
      ["__hOsT-TaskGate-session=x; Path=/; Secure"],
      ["__Secure-taskgate-session-0=x; Secure"],
      ["=taskgate-session-7080=x"],
      ["taskgate-session-7080"],
    ])("drops the cookie %j, in the head and in trailers, and keeps its neighbours", async (cookie) => {
      await using app = await startHttpApp((_req, res) => {
        res.writeHead(200, ["Set-Cookie", "before=1", "SET-COOKIE", cookie, "Set-Cookie", "after=1; Domain=nb.localhost", "Trailer", "Set-Cookie, X-End"]); // prettier-ignore
        res.write("x");
        res.addTrailers([
          ["Set-Cookie", cookie],
          ["X-End", "1"],
        ]);
        res.end();
      });
      await using rig = await serving(app);
      const seen = await get(rig);
      expect(seen.cookies).toEqual(["before=1", "after=1; Domain=nb.localhost"]);
      expect(seen.trailers.join("\n").toLowerCase()).not.toContain("set-cookie");
    });

    test("drops a cookie in whose words a browser might see others than the gate", async () => {
      await using app = await startHttpApp((_req, res) => {
        res.socket?.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\nSet-Cookie: a=1\r\nSet-Cookie: b=1;\x01Domain=localhost\r\n\r\n"); // prettier-ignore
      });
      await using rig = await serving(app);
      const { status, cookies } = await get(rig);
      expect(status === 502 ? ["a=1"] : cookies).toEqual(["a=1"]);
    });

    test.each<[string, Extract<Decision, { kind: "allow" }>["frame"], Record<string, string>, string[]]>([
      [
        "says who may frame a page that says nothing",
        { ancestors: "'self' http://gate", replaces: false },
        {},
        ["frame-ancestors 'self' http://gate"],
      ],
      [
        "leaves it to an app that says so by X-Frame-Options",
        { ancestors: "'self'", replaces: false },
        { "x-frame-options": "DENY" },
        ["DENY"],
      ],
      [
        "leaves it to an app that says so by its policy",
        { ancestors: "'self'", replaces: false },
        { "content-security-policy": "default-src 'self'; Frame-Ancestors 'none'" },
        ["default-src 'self'; Frame-Ancestors 'none'"],
      ],
      [
        "puts its word in the place of the app's, and keeps the rest",
        { ancestors: "https://hub", replaces: true },
        {
          "x-frame-options": "DENY",
          "content-security-policy": "default-src 'self'; frame-ancestors 'none', frame-ancestors *;script-src 'self'",
        },
        ["default-src 'self',script-src 'self'", "frame-ancestors https://hub"],
      ],
      [
        "takes the app's word away where anybody may",
        { ancestors: "*", replaces: true },
        { "x-frame-options": "DENY", "content-security-policy": "frame-ancestors 'none'" },
        [],
      ],
      ["says nothing where that is the app's own affair", undefined, { "x-frame-options": "DENY" }, ["DENY"]],
    ])("%s", async (_what, frame, fields, expected) => {
      // prettier-ignore
      await using app = await startHttpApp((_req, res: ServerResponse) => {
        res.writeHead(200, { ...fields, "content-type": "text/html; charset=utf-8" }).end("<p>");
      });
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({ ...ALLOW, ...(frame === undefined ? {} : { frame }) });
      for (let round = 0; round < 3; round += 1) {
        const seen = await get(rig);
        const said = [seen.fields["x-frame-options"], seen.fields["content-security-policy"]].filter((value) => value !== undefined); // prettier-ignore
        expect(said.join(", ")).toBe(expected.join(", "));
      }
    });

    test("says nothing of frames beside what is no page", async () => {
      await using app = await startHttpApp((_req, res) => res.writeHead(200, { "content-type": "image/png" }).end("x"));
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({ ...ALLOW, frame: { ancestors: "'self'", replaces: false } });
      expect((await get(rig)).fields["content-security-policy"]).toBeUndefined();
    });

    test("answers a preflight itself, and says alone which origin may read an answer", async () => {
      let heard = 0;
      await using app = await startHttpApp((_req, res) => {
        heard += 1;
        res.writeHead(200, { "access-control-allow-origin": "*", "Access-Control-Allow-Credentials": "false" }).end();
      });
      await using rig = await serving(app);
      const cors = [["access-control-allow-origin", "http://a.localhost"]] as const;
      rig.gatekeeper.checking = () => ({ kind: "answer", respond: cors });
      expect(await get(rig)).toMatchObject({ status: 204, fields: { "access-control-allow-origin": "http://a.localhost" } }); // prettier-ignore
      expect(heard).toBe(0);
      rig.gatekeeper.checking = () => ({ ...ALLOW, respond: [...cors, ["access-control-allow-credentials", "true"]] });
      for (let round = 0; round < 3; round += 1) {
        const { fields } = await get(rig);
        expect(fields["access-control-allow-origin"]).toBe("http://a.localhost");
        expect(fields["access-control-allow-credentials"]).toBe("true");
      }
      rig.gatekeeper.checking = () => ALLOW;
      expect((await get(rig)).fields["access-control-allow-origin"]).toBe("*");
    });

    test("gives the job what the gatekeeper says of the visitor, and no visitor's word for it", async () => {
      await using app = await startHttpApp(echo);
      await using rig = await serving(app);
      rig.gatekeeper.checking = () => ({
        ...ALLOW,
        set: [
          ["X-Taskgate-User", "local/olga"],
          ["X-Taskgate-Assertion", "a.b.c"],
        ],
      });
      const spelled = ["x-taskgate-user", "X_Taskgate_User", "x.taskgate.user", "X-TASKGATE-Assertion", "x_taskgate-assertion"]; // prettier-ignore
      const headers = Object.fromEntries(spelled.map((field) => [field, "mallory"]));
      for (let round = 0; round < 3; round += 1) {
        const { rawHeaders } = JSON.parse((await get(rig, headers)).body) as { rawHeaders: string[] };
        expect(rawHeaders).not.toContain("mallory");
        expect(rawHeaders.filter((value) => value === "local/olga" || value === "a.b.c")).toHaveLength(2);
      }
    });
  });

  describe(`${name} data plane: routes that change`, () => {
    test("tells of the new route whoever is open by the old one, and of no other", async () => {
      await using app = await startHttpApp((_req, res) => {
        res.writeHead(200).flushHeaders();
      });
      await using rig = await serving(app);
      const sockets = new WebSocketServer({ server: app.server });
      rig.table.service({ key: "local/tb/web", matches: [byHost("tb.localhost")], endpoints: [app.address] });
      await rig.publish();
      const open = [HOST, "tb.localhost"].map((host) => new WebSocket(`ws://127.0.0.1:${String(rig.port)}/`, { headers: { host } })); // prettier-ignore
      await Promise.all(open.map((socket) => once(socket, "open")));
      const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
      const stream = session.request({ ":path": "/", ":authority": HOST });
      stream.on("error", () => undefined); // it is cut
      await once(stream, "response");
      rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address], policy: { frame: "none" } });
      await rig.publish();
      await until(() => rig.gatekeeper.open.filter(({ moved }) => moved.length > 0).length === 2);
      for (const { route, moved } of rig.gatekeeper.open) {
        expect(moved.map(({ policy }) => policy.frame)).toEqual(route.service === KEY ? ["none"] : []);
      }
      for (const { route, cut } of rig.gatekeeper.open) if (route.service === KEY) cut();
      await until(() => rig.gatekeeper.open.length === 1 && open[0]?.readyState === WebSocket.CLOSED);
      expect(open[1]?.readyState).toBe(WebSocket.OPEN);
      session.destroy();
      for (const socket of open) socket.terminate();
      sockets.close();
    });
  });
}

async function getHttp1(rig: Rig, headers: Record<string, string> = {}): Promise<Seen> {
  const { status, headers: fields, rawTrailers, body } = await ask(rig.port, HOST, { headers });
  const { "set-cookie": cookies = [], ...rest } = fields;
  return { status, fields: rest as Record<string, string>, cookies, trailers: rawTrailers, body };
}

async function getHttp2(rig: Rig, headers: Record<string, string> = {}): Promise<Seen> {
  const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
  try {
    const lower = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
    const stream = session.request({ ":path": "/", ":authority": HOST, ...lower });
    const trailers: string[] = [];
    stream.on("trailers", (fields: object) => trailers.push(...Object.keys(fields)));
    const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders & { ":status"?: number }];
    let body = "";
    for await (const part of stream) body += String(part);
    const { ":status": status = 0, "set-cookie": cookies = [], ...fields } = answer;
    return { status, fields: fields as Record<string, string>, cookies, trailers, body };
  } finally {
    session.destroy();
  }
}
