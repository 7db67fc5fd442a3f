import type { IncomingMessage, ServerResponse } from "node:http";
import { expect } from "vitest";
import type { Differences } from "../../../contract/plane-test.ts";
import { passHopFields } from "../../../dataplane.contract.ts";
import { echo, startHttpApp, startTcpApp } from "../../../testing/apps.ts";
import { ask, RawClient } from "../../../testing/clients.ts";
import { startRig, until } from "../../../testing/rig.ts";
import { byHost } from "../../../testing/table-builder.ts";
import { HOST, KEY, SAYS_ITSELF, serving } from "./serving.ts";

/** Answers that reach their visitors in another form, or come from Envoy itself. */
export const ANSWER_DIFFERENCES: Differences = {
  "passes 100 and 103 on as they come": {
    why: "passes on the first of a job's interim answers alone",
    async instead(start) {
      await using app = await startHttpApp((req, res) => res.end(req.url));
      app.server.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => {
        if (req.url === "/no") return res.writeHead(417).end("no");
        if (req.url === "/hint") res.writeEarlyHints({ link: "</a.css>; rel=preload" });
        res.writeContinue();
        echo(req, res);
      });
      await using rig = await serving(start, app);
      const head = `HTTP/1.1\r\nHost: ${HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
      using client = await RawClient.connect(rig.port, `POST / ${head}`);
      await until(() => client.received.includes("100 Continue"));
      client.send("body");
      await until(() => client.received.includes('"body":"body"'));
      using hinted = await RawClient.connect(rig.port, `POST /hint ${head}`);
      await until(() => hinted.received.includes("\r\n\r\n"));
      expect(hinted.received).toMatch(/^HTTP\/1\.1 103 [^]*link: <\/a\.css>; rel=preload/);
      hinted.send("body");
      await until(() => hinted.received.includes('"body":"body"'));
      expect(hinted.received).not.toContain("100 Continue");
      using refused = await RawClient.connect(rig.port, `POST /no ${head}`);
      await until(() => refused.ended);
      expect(refused.received).toMatch(/^HTTP\/1\.1 417 /);
      expect(refused.received).not.toContain("100 Continue");
    },
  },

  "keeps every field as it was sent, repeated ones and odd bytes too": {
    why: "writes the names of fields in lower case",
    async instead(start) {
      await using app = await startHttpApp((_req, res) => {
        res.writeHead(203, ["X-A", "1", "x-a", "2", "Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Odd", "\u00e9\u00ff"]);
        res.end("body");
      });
      await using rig = await serving(start, app);
      const { status, rawHeaders } = await ask(rig.port, HOST);
      expect(status).toBe(203);
      const valuesOf = (name: string) => rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1] === name);
      expect(["x-a", "set-cookie", "x-odd"].map(valuesOf)).toEqual([["1", "2"], ["a=1", "b=2"], ["\u00e9\u00ff"]]);
    },
  },

  "never ends an answer cleanly that its job broke off (neither)": {
    why: "has nothing but the connection's end to say so to HTTP/1.0; from HTTP/1.1 on it says so",
    async instead(start) {
      await using app = await startHttpApp((req, res) => {
        res.writeHead(200, { "x-a": "1" });
        res.write("half");
        setTimeout(() => req.socket.resetAndDestroy(), 50);
      });
      await using rig = await serving(start, app);
      using client = await RawClient.connect(rig.port, `GET / HTTP/1.0\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => client.over);
      expect(client.received).toMatch(/\r\n\r\nhalf$/);
      await expect(ask(rig.port, HOST)).rejects.toThrow();
    },
  },

  "answers 502 when a job answers with a change of protocols that nobody asked for, and lives on": {
    why: "passes the bare 101 on, and nothing of what the job says after it",
    async instead(start) {
      await using app = await startTcpApp((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
          socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno");
          socket.on("end", () => socket.end());
        });
      });
      await using rig = await serving(start, app);
      using client = await RawClient.connect(rig.port, `GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => client.received.includes("\r\n\r\n") && app.sockets.size === 0);
      expect(client.received).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\n$/);
      expect(client.received.toLowerCase()).not.toContain("upgrade:");
      expect((await ask(rig.port, "unknown.localhost")).status).toBe(404);
    },
  },

  "drops cookies for a parent domain and of the gate's names, and a forged mark of the gate": {
    why: "knows a forged mark by the gate's own spelling alone, which is the one that programs look for",
    async instead(start) {
      const cookies = ["evil=1; Domain=localhost", "taskgate=1", "__Host-taskgate-x=1; Path=/; Secure", "=taskgate=1"];
      const kept = [`own=1; Domain=${HOST}`, "plain=2; HttpOnly"];
      await using app = await startHttpApp((_req, res) => {
        const fields = [...cookies, ...kept].flatMap((value) => ["Set-Cookie", value]);
        res.writeHead(200, ["X-Taskgate-Error", "denied", "X_Taskgate_Error", "denied", ...fields]).end();
      });
      await using rig = await serving(start, app);
      const { headers } = await ask(rig.port, HOST);
      expect(headers["set-cookie"]).toEqual(kept);
      expect(headers["x-taskgate-error"]).toBeUndefined();
      expect(headers.x_taskgate_error).toBe("denied");
    },
  },

  "drops what is of one connection only, and says anew who asks": {
    why: "passes on what a job's answer says is of its connection only",
    async instead(start) {
      expect(await passHopFields(start)).toBe("1");
    },
  },

  "answers 502 when a job closes without a word, and says so to who explains": {
    why: SAYS_ITSELF,
    async instead(start) {
      await using app = await startTcpApp((socket) => socket.once("data", () => socket.destroy()));
      await using rig = await serving(start, app);
      const reply = await ask(rig.port, HOST, { method: "POST", body: "x" });
      expect([reply.status, reply.headers["x-taskgate-error"]]).toEqual([502, "unreachable"]);
      expect(rig.explained).toEqual([]);
    },
  },

  "gives up on a job that is silent for too long, before and in the midst of an answer": {
    why: SAYS_ITSELF,
    async instead(start) {
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/begun") res.write("begun");
      });
      await using rig = await startRig(start);
      const policy = { idleTimeoutMs: 150 };
      rig.table.service({ key: KEY, policy, matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      const reply = await ask(rig.port, HOST);
      expect([reply.status, reply.headers["x-taskgate-error"]]).toEqual([504, "timeout"]);
      expect(rig.explained).toEqual([]);
      await expect(ask(rig.port, HOST, { path: "/begun" })).rejects.toThrow();
    },
  },
};
