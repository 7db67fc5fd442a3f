import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AccessView, GrantCreated, SharedLinkView } from "../src/api/wire-access.ts";
import { enter, openSocket } from "./support/enter.ts";
import { ROOT } from "./support/gate.ts";
import { API, basic, bearer, CLOSE, type HostileGate, PAGE, startHostileGate, statusOf } from "./support/hostile.ts";

let hostile: HostileGate;

type Operation = readonly [method: string, path: string, body: object | undefined];

/** Everything by which somebody could get more than they have. */
const MORE: readonly Operation[] = [
  ["POST", "/tokens", { name: "more" }],
  ["GET", "/tokens", undefined],
  ["POST", "/links", {}],
  ["POST", "/tasks/own/access", { to: "corp/bob" }],
  ["POST", "/tasks/own/access", { to: "link" }],
  ["POST", "/tasks/own/access", { to: "public" }],
  ["PUT", "/tasks/own/access", { grants: [{ to: "corp/alice" }] }],
  ["POST", "/tasks/own/services/web/access", { to: "corp/bob" }],
  ["DELETE", "/tasks/own/access", undefined],
  ["GET", "/tasks/own/access", undefined],
  ["GET", "/tasks/own/access/history", undefined],
  ["POST", "/tasks/own/stop", undefined],
  ["POST", "/tasks/own/restart", undefined],
  ["DELETE", "/tasks/own", undefined],
  ["GET", "/tasks/own/logs", undefined],
  ["GET", "/sessions", undefined],
  ["POST", "/sessions/end", { user: "local/root" }],
  ["POST", "/keys/rotate", {}],
  ["GET", "/keys", undefined],
  ["GET", "/audit", undefined],
  ["POST", "/tasks", { command: ["id"], directory: "/", environment: {} }],
  ["POST", "/attach", { port: 1 }],
];

beforeAll(async () => {
  const access = { ceiling: "authenticated", longestLink: "1h", longestGrant: "2h", realms: ["corp"] };
  hostile = await startHostileGate({ access, files: [{ name: "lab", path: "lab.yaml" }] }, (folder) => {
    const services = [{ name: "web", endpoints: ["10.0.0.5:1"] }];
    writeFileSync(join(folder, "lab.yaml"), JSON.stringify({ tasks: [{ name: "wide", access: "public", services }] }));
  });
  await hostile.run("own");
  await hostile.run("other");
  await hostile.run("all", "--access", "authenticated");
});

afterAll(() => hostile[Symbol.asyncDispose]());

const tokenWith = (...more: readonly string[]) => hostile.gate.json<{ id: string; token: string }>("token", "create", "x", ...more); // prettier-ignore
const linkOf = async (name = "own") => (await hostile.gate.json<GrantCreated[]>("share", name, "--link"))[0];
const redeem = async (link: string | null | undefined) =>
  (await hostile.api<SharedLinkView>("POST", "/links/redeem", {}, { link: link ?? "" })).json;
const refusals = [401, 403, 404];

async function expectRefused(headers: object, [method, path, body]: Operation): Promise<void> {
  const { status } = await hostile.api(method, path, headers, body);
  expect(refusals, `${method} ${path}`).toContain(status);
}

describe("a token with the scope to connect to one service gets no more by", () => {
  let scoped: { id: string; token: string };
  beforeAll(async () => {
    scoped = await tokenWith("--service", "own", "--scope", "connect");
  });

  test.each(MORE)("%s %s %j", async (...operation) => {
    await expectRefused(bearer(scoped.token), operation);
  });

  test("a visit, a tunnel or a request to another service", async () => {
    expect(await hostile.statusFor("own", bearer(scoped.token))).toBe(200);
    for (const name of ["other", "all"]) expect(await hostile.statusFor(name, bearer(scoped.token))).toBe(403);
    await expect(enter(hostile.gate, "other.localhost", scoped.token)).rejects.toThrow();
    for (const name of ["own", "other"]) {
      const tunnel = `CONNECT ${name}.localhost:80 HTTP/1.1\r\nHost: ${name}.localhost:80\r\nX-Taskgate-Authorization: Bearer ${scoped.token}\r\n\r\n`;
      expect(statusOf(await hostile.send(tunnel, (answer) => answer.includes("\r\n\r\n")))).toBe(403);
    }
  });

  test("a session that came of it, which is for that service and ends with it", async () => {
    const made = await tokenWith("--service", "own", "--scope", "connect");
    const cookie = await enter(hostile.gate, "own.localhost", made.token);
    expect(await hostile.statusFor("own", { cookie })).toBe(200);
    expect((await hostile.api("GET", "/tasks", { cookie })).status).toBe(401);
    await hostile.gate.cli("token", "revoke", made.id);
    expect(await hostile.statusFor("own", { cookie })).toBe(401);
  });

  test("letting a command line in, or revoking another's token", async () => {
    const { json } = await hostile.api<{ userCode: string }>("POST", "/login/device", {}, { client: "x" });
    const body = { userCode: json.userCode, approve: true };
    expect((await hostile.api("POST", "/login/device/answer", bearer(scoped.token), body)).status).toBe(403);
    const other = await tokenWith();
    expect(refusals).toContain((await hostile.api("DELETE", `/tokens/${other.id}`, bearer(scoped.token))).status);
    expect(await hostile.statusFor("own", bearer(other.token))).toBe(200);
  });

  test("a scope to manage one task, which starts no other and shares nothing", async () => {
    const { token } = await tokenWith("--service", "other", "--scope", "manage");
    for (const operation of MORE) {
      if (operation[1] !== "/tasks") await expectRefused(bearer(token), operation);
    }
    const run = { name: "third", command: ["id"], directory: "/", environment: {} };
    expect((await hostile.api("POST", "/tasks", bearer(token), run)).status).toBe(403);
    expect((await hostile.api("POST", "/tasks/other/access", bearer(token), { to: "corp/bob" })).status).toBe(403);
  });
});

describe("somebody whom a task is shared with gets no more by", () => {
  beforeAll(async () => {
    await hostile.gate.cli("share", "own", "--with", "alice");
  });

  const theirOwn = ["/tokens", "/sessions", "/audit"]; // of which everybody sees their own
  test.each(MORE.filter(([, path]) => !theirOwn.includes(path)))("%s %s %j", async (...operation) => {
    expect(await hostile.statusFor("own", basic("alice"))).toBe(200);
    await expectRefused(basic("alice"), operation);
    expect(await hostile.statusFor("own", basic("bob"))).toBe(403);
  });

  test("a token of their own, whatever scope they give it; and it ends with the grant", async () => {
    const scope = { actions: ["connect", "read", "manage"] };
    const { json } = await hostile.api<{ token: string }>("POST", "/tokens", basic("alice"), { name: "a", scope });
    expect(await hostile.statusFor("own", bearer(json.token))).toBe(200);
    for (const [method, path] of [
      ["POST", "/tasks/own/stop"],
      ["GET", "/tasks/own/logs"],
      ["DELETE", "/tasks/own"],
    ] as const)
      // prettier-ignore
      await expectRefused(bearer(json.token), [method, path, undefined]);
    await hostile.gate.cli("unshare", "own", "--with", "alice");
    expect(await hostile.statusFor("own", bearer(json.token))).toBe(403);
    await hostile.gate.cli("share", "own", "--with", "alice");
  });

  test("the audit log, the tokens or the sessions, of which they see their own", async () => {
    const owner = await hostile.gate.ask("own.localhost", "/");
    expect(owner.status).toBe(200);
    for (const path of ["/audit", "/tokens", "/sessions"]) {
      const answer = await hostile.gate.ask("taskgate.localhost", `${API}${path}`, { anonymous: true, headers: basic("bob") }); // prettier-ignore
      expect(answer.status, path).toBe(200);
      expect(answer.body, path).not.toMatch(/"local"|corp\/alice|"user":"(?!bob)/);
    }
  });

  test("a token for a service account, or a token with somebody else's name", async () => {
    for (const more of [{ account: "robot" }, { owner: "local/root" }, { user: "root" }, { principal: { admin: true } }])
      expect([400, 403]).toContain((await hostile.api("POST", "/tokens", basic("alice"), { name: "a", ...more })).status); // prettier-ignore
  });

  test("being of another realm under the same name, or spelling a name otherwise", async () => {
    for (const user of ["corp/alice", "ALICE", "Alice", "alice ", " alice", "al\u00adice", "alice\u0000", "local/root", "root"])
      if (user !== "alice") expect(await hostile.statusFor("own", basic(user)), user).toBe(401); // prettier-ignore
  });

  test("a new task under the name of the one that was shared", async () => {
    await hostile.run("short");
    await hostile.gate.cli("share", "short", "--with", "bob");
    const { token } = await redeem((await linkOf("short"))?.link ?? "");
    expect([await hostile.statusFor("short", basic("bob")), await hostile.statusFor("short", bearer(token))]).toEqual([200, 200]); // prettier-ignore
    await hostile.gate.cli("rm", "short");
    await hostile.run("short");
    expect([await hostile.statusFor("short", basic("bob")), await hostile.statusFor("short", bearer(token))]).toEqual([403, 401]); // prettier-ignore
  });
});

describe("a visitor by a link gets no more by", () => {
  let token: string;
  beforeAll(async () => {
    ({ token } = await redeem((await linkOf())?.link));
  });

  test.each(MORE)("%s %s %j", async (...operation) => {
    expect(await hostile.statusFor("own", bearer(token))).toBe(200);
    await expectRefused(bearer(token), operation);
  });

  test("a token with another's id, a later end or another service in it", async () => {
    const [one, other] = [await redeem((await linkOf())?.link), await redeem((await linkOf("other"))?.link)];
    const id = (of: SharedLinkView) => of.link.replace("g-", "");
    const mixed = [
      one.token.replace(id(one), id(other)),
      other.token.replace(id(other), id(one)),
      one.token.replace(/_l[0-9a-z]+/, "_lzzzzzzzz"),
      one.token.replace(/_l[0-9a-z]+/, "_l"),
      `${one.token.slice(0, -2)}AA`,
      `${one.token}A`,
      one.token.slice(0, one.token.lastIndexOf(".") + 1),
      one.link,
    ];
    expect(mixed).not.toContain(one.token);
    expect(mixed).not.toContain(other.token);
    for (const token of mixed) {
      for (const name of ["own", "other", "all"]) expect([401, 403]).toContain(await hostile.statusFor(name, bearer(token))); // prettier-ignore
    }
  });

  test("a service that is open to everybody who logged in, another task, or a tunnel", async () => {
    expect(await hostile.statusFor("all", bearer(token))).toBe(403);
    expect(await hostile.statusFor("other", bearer(token))).toBe(403);
    const tunnel = `CONNECT own.localhost:80 HTTP/1.1\r\nHost: own.localhost:80\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    expect(statusOf(await hostile.send(tunnel, (answer) => answer.includes("\r\n\r\n")))).toBe(403);
  });
});

describe("an owner gives nothing above the ceiling by", () => {
  const owner = () => bearer(hostile.gate.token());
  const hour = 3_600_000;

  test.each<[string, object]>([
    ["saying public", { to: "public" }],
    ["a longer link", { to: "link", lifetimeMs: 2 * hour }],
    ["a link until later", { to: "link", until: 9_999_999_999_999 }],
    ["a longer grant", { to: "corp/bob", lifetimeMs: 3 * hour }],
    ["a grant until later", { to: "corp/bob", until: 9_999_999_999_999 }],
    ["a grant that ended long ago", { to: "corp/bob", until: 0 }],
    ["another realm", { to: "lab/eve" }],
    ["another realm's group", { to: "group:lab/all" }],
    ["the realm of links", { to: "link/g-aaaaaaaaaaaa" }],
    ["a name with a line break", { to: "corp/bob\nroot" }],
    ["an end twice", { to: "corp/bob", lifetimeMs: hour, until: 9_999_999_999_999 }],
    ["a key of its own", { to: "corp/bob", admin: true }],
    ["a link for another task's service", { to: "link", service: "other/web" }],
  ])("%s", async (_what, grant) => {
    const before = (await hostile.api<AccessView>("GET", "/tasks/other/access", owner())).json.grants.length;
    for (const path of ["/tasks/other/access", "/tasks/other/services/web/access"]) {
      expect([400, 403, 404], path).toContain((await hostile.api("POST", path, owner(), grant)).status);
      const all = await hostile.api("PUT", path, owner(), { grants: [{ to: "corp/bob" }, grant] });
      expect([400, 403, 404], path).toContain(all.status);
    }
    expect((await hostile.api<AccessView>("GET", "/tasks/other/access", owner())).json.grants).toHaveLength(before);
    expect(await hostile.statusFor("other", basic("bob"))).toBe(403);
  });

  test("leaving the end out: there is one all the same", async () => {
    const { json } = await hostile.api<GrantCreated>("POST", "/tasks/other/access", owner(), { to: "corp/bob" });
    expect(json.until).toBeLessThanOrEqual(Date.now() + 2 * hour);
    await hostile.gate.cli("unshare", "other", "--all");
  });

  test("starting it public, or having its provider say so", async () => {
    await hostile.gate.cli("run", "--name", "loose", "--access", "public", "--service", "web=http", "--", process.execPath, join(ROOT, "test/support/recorder.mjs")); // prettier-ignore
    for (const name of ["loose", "wide"]) expect([401, 404], name).toContain(await hostile.statusFor(name, {}));
  });
});

describe("what was taken back is not gone on with by", () => {
  test.each([0, 2])(
    "what is open, with %i workers: WebSocket, HTTP/2 stream, TCP tunnel; nor by a renewal",
    async (workers) => {
      await using crew = await startHostileGate({ workers });
      const { gate } = crew;
      const service = (program: string) => [process.execPath, join(ROOT, "examples", "services", program)];
      await gate.json("run", "--name", "chat", "--service", "web=http", "--", ...service("chat.mjs"));
      await gate.json("run", "--name", "clock", "--service", "web=http", "--", ...service("clock.mjs"));
      await gate.json("run", "--name", "echo", "--service", "raw=tcp", "--", ...service("tcp-echo.mjs"));
      for (const name of ["chat", "clock", "echo"]) await gate.cli("share", name, "--with", "alice");
      const made = (await crew.api<{ token: string }>("POST", "/tokens", basic("alice"), { name: "a" })).json;
      const cookie = await enter(gate, "chat.localhost", made.token);
      const socket = await openSocket(gate, "chat.localhost", cookie);
      const tunnel = await crew.open(`CONNECT echo.localhost:80 HTTP/1.1\r\nHost: echo.localhost:80\r\nAuthorization: ${basic("alice").authorization}\r\n\r\n`); // prettier-ignore
      expect(String((await once(tunnel, "data"))[0])).toMatch(/^HTTP\/1\.1 200/);
      const session = connectHttp2(`http://127.0.0.1:${String(crew.port)}`);
      session.on("error", () => undefined);
      const authority = `clock.localhost:${String(crew.port)}`;
      const stream = session.request({ ":authority": authority, ":path": "/", ...basic("alice") });
      stream.on("error", () => undefined);
      expect((await once(stream, "response"))[0]).toMatchObject({ ":status": 200 });
      tunnel.on("error", () => undefined);
      const over = (each: NodeJS.ReadableStream) => new Promise((resolve) => each.resume().once("close", resolve));
      const ends = [socket.ended, over(tunnel), over(stream)];
      for (const name of ["chat", "clock", "echo"]) await gate.cli("unshare", name, "--all");
      const done = performance.now();
      await Promise.all(ends);
      expect(performance.now() - done).toBeLessThan(1000);
      session.destroy();
      const again = await gate.ask("chat.localhost", "/", { anonymous: true, headers: { cookie } });
      expect([again.status, again.headers["set-cookie"]]).toEqual([403, undefined]);
    },
  );
});

describe("who guesses", () => {
  /** Tries that are too many for what nobody can guess. */
  const UNGUESSABLE = 260;
  const from = async (address: string, path: string, body: object, headers = "") => {
    const text = JSON.stringify(body);
    const head = `POST ${API}${path} HTTP/1.1\r\n${hostile.host("taskgate")}${headers}Content-Type: application/json\r\nContent-Length: ${String(Buffer.byteLength(text))}\r\n${CLOSE}\r\n`;
    const socket = await hostile.open(head + text, address);
    let answer = "";
    for await (const chunk of socket) answer += String(chunk);
    return statusOf(answer);
  };
  const times = async (count: number, ask: (at: number) => Promise<number>) => {
    const statuses: number[] = [];
    for (let at = 0; at < count; at += 1) statuses.push(await ask(at));
    return statuses;
  };

  test("passwords at the login form is told to wait, also when the account or X-Forwarded-For changes", async () => {
    const guess = (at: number) => from("127.0.0.20", "/login/methods/corp/password", { user: `u${String(at)}`, password: "x" }, `X-Forwarded-For: 9.9.9.${String(at)}\r\n`); // prettier-ignore
    const statuses = await times(24, guess);
    expect(statuses.slice(0, 20).every((status) => status === 401)).toBe(true);
    expect(statuses.slice(-3)).toEqual([429, 429, 429]);
    expect(await from("127.0.0.21", "/login/methods/corp/password", { user: "alice", password: "correct horse" })).toBe(200); // prettier-ignore
  });

  test("codes of command lines is told to wait", async () => {
    const statuses = await times(24, (at) => from("127.0.0.22", "/login/device/show", { userCode: `BCDF-GH${String.fromCharCode(74 + (at % 3))}K` }, `Authorization: Bearer ${hostile.gate.token()}\r\n`)); // prettier-ignore
    expect(statuses.slice(-3)).toEqual([429, 429, 429]);
    expect(statuses).not.toContain(200);
  });

  test.each(["/login", "/links/redeem"])(
    "at %s is told to wait, and the right one comes in from there all the same",
    async (path) => {
      const address = path === "/login" ? "127.0.0.23" : "127.0.0.24";
      const wrong = path === "/login" ? { code: "A".repeat(43) } : { link: `g-aaaaaaaaaaaa_${"A".repeat(43)}` };
      expect((await times(UNGUESSABLE, () => from(address, path, wrong))).slice(-3)).toEqual([429, 429, 429]);
      const { url } = await hostile.gate.json<{ url: string }>("open", "--print");
      const right =
        path === "/login" ? { code: url.slice(url.indexOf("code=") + 5) } : { link: (await linkOf())?.link };
      expect(await from(address, path, right)).toBe(200);
    },
  );

  test("tokens is told to wait, and the right one comes in from there all the same", async () => {
    const ask = async (token: string) => {
      const socket = await hostile.open(`GET / HTTP/1.1\r\n${hostile.host("own")}Authorization: Bearer ${token}\r\n${CLOSE}\r\n`, "127.0.0.25"); // prettier-ignore
      let answer = "";
      for await (const chunk of socket) answer += String(chunk);
      return statusOf(answer);
    };
    const right = hostile.gate.token();
    const wrong = (at: number) => ask(`${right.slice(0, -3)}${String(100 + (at % 900))}`);
    expect((await times(UNGUESSABLE, wrong)).slice(-3)).toEqual([429, 429, 429]);
    expect(await ask(right)).toBe(200);
  });

  test("names learns none: who exists and who does not are answered alike", async () => {
    const answers = await Promise.all(
      ["alice", "nobody-of-that-name"].map((user) => hostile.api("POST", "/login/methods/corp/password", {}, { user, password: "wrong" })), // prettier-ignore
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(await hostile.api("GET", "/tasks/own", basic("bob"))).toEqual(await hostile.api("GET", "/tasks/none", basic("bob")).then(({ status, json }) => ({ status, json: JSON.parse(JSON.stringify(json).replaceAll("none", "own")) as unknown }))); // prettier-ignore
  });
});

describe("text that is to steer who reads it", () => {
  const STEER = "\u001b[2J\u001b]0;x\u0007\u202eevil\u2066\r\nfake line\u0085\u2028";
  const STEERS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

  test("in names, paths, hosts, agents and users reaches no terminal, no log and no line of its own", async () => {
    const owner = bearer(hostile.gate.token());
    await hostile.api("POST", "/tokens", owner, { name: STEER });
    await hostile.api("POST", "/tokens", owner, { name: "x", account: STEER });
    await hostile.api("POST", "/tasks", owner, { name: STEER, command: ["id"], directory: "/", environment: {} });
    await hostile.api("POST", "/tasks", owner, { name: "steer", kind: STEER, command: ["id"], directory: "/", environment: {} }); // prettier-ignore
    await hostile.api("POST", "/tasks/own/access", owner, { to: `corp/${STEER}` });
    await hostile.api("POST", "/tasks/own/access", owner, { to: "corp/\u202eevil" });
    await hostile.api("POST", "/login/methods/corp/password", {}, { user: STEER, password: STEER });
    await hostile.api("POST", "/login/device", {}, { client: STEER });
    await hostile.api("POST", "/login", {}, { code: STEER });
    await hostile.api("POST", "/links/redeem", {}, { link: STEER });
    await hostile.statusFor("own", basic(STEER), "/%1b[2J%0afake%e2%80%ae");
    await hostile.statusFor("own", { "user-agent": "\u009b2Jevil", referer: "\u0085" }, "/");
    const raw = Buffer.from("/\u202e\u0085", "utf8").toString("latin1");
    await hostile.send(`GET ${raw} HTTP/1.1\r\n${hostile.host("own")}User-Agent: \u001b[2J\r\n${CLOSE}\r\n`);
    await hostile.send(`GET / HTTP/1.1\r\nHost: \u001b[2J.localhost\r\n${CLOSE}\r\n`);
    for (const words of [
      ["ps"],
      ["token", "list"],
      ["audit", "--since", "1h"],
      ["share", "own"],
      ["share", "own", "--history"],
      ["sessions", "list"],
      ["logs", "own"],
    ]) {
      // prettier-ignore
      const ran = await hostile.gate.cli(...words);
      expect(STEERS.exec(ran.stdout + ran.stderr), words.join(" ")).toBeNull();
    }
    const files = ["gate.log", ...readdirSync(join(hostile.gate.home, "audit")).map((name) => join("audit", name))];
    for (const name of files) {
      const text = readFileSync(join(hostile.gate.home, name), "utf8");
      expect(STEERS.exec(text.replaceAll("\t", "")), name).toBeNull();
      for (const line of text.split("\n").filter(Boolean))
        expect(() => JSON.parse(line) as unknown, line).not.toThrow();
    }
  });

  test("in a page of the gate stands as text, and nothing of it runs", async () => {
    const path = '/%3Cscript%3Ealert(1)%3C/script%3E"><script>alert(1)</script>';
    for (const name of ["own", "nothing", "taskgate"]) {
      const answer = await hostile.gate.ask(`${name}.localhost`, path, { anonymous: true, headers: { ...PAGE, "sec-fetch-dest": "image" } }); // prettier-ignore
      expect(answer.body).not.toContain("<script>alert");
    }
  });
});
