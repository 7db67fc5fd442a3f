import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GrantCreated, SharedLinkView } from "../src/api/wire-access.ts";
import { enter } from "./support/enter.ts";
import { PLANE } from "./support/gate.ts";
import { API, basic, bearer, CLOSE, type HostileGate, PASSWORD, startHostileGate } from "./support/hostile.ts";

const PROXY_SECRET = "what-the-proxy-shows";
const HUB_TOKEN = "0123456789abcdef0123456789abcdef";
const ISSUER = "http://127.0.0.1:9/op";
const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
const ID_TOKEN = `${base64url({ alg: "ES256", kid: "k" })}.${base64url({ iss: ISSUER, sub: "alice" })}.c2lnbmF0dXJl`;

let hostile: HostileGate;
let token: string;
let linkToken: string;
let session: string;

beforeAll(async () => {
  const secretFile = "proxy-secret";
  // Neither the hub nor the provider is there: what is theirs is the gate's all the same.
  const methods = [
    { type: "trusted-header", name: "sso", from: ["127.0.0.3"], user: "X-Corp-User", secret: { file: secretFile } },
    { type: "jupyterhub", name: "hub", url: "http://127.0.0.1:9/hub/", clientSecretFile: secretFile },
    { type: "oidc", name: "op", issuer: ISSUER, clientId: "gate" },
  ];
  hostile = await startHostileGate({ login: { methods } }, (folder) => {
    writeFileSync(join(folder, secretFile), `${PROXY_SECRET}\n`, { mode: 0o600 });
  });
  await hostile.run("own");
  await hostile.run("pub", "--access", "public");
  token = hostile.gate.token();
  const [grant] = await hostile.gate.json<GrantCreated[]>("share", "own", "--link");
  const redeemed = await hostile.api<SharedLinkView>("POST", "/links/redeem", {}, { link: grant?.link ?? "" });
  linkToken = redeemed.json.token;
  session = await enter(hostile.gate, "own.localhost");
});

afterAll(() => hostile[Symbol.asyncDispose]());

const login = () => `X-Taskgate-Authorization: Bearer ${token}\r\n`;
const secretsOf = (text: string) => text.split(/[\s=:,;]+/).filter((part) => part.length > 15);

/** Nothing of `secret` may have reached a job, by itself or in base64. */
function expectUncaught(secret: string): void {
  const seen = JSON.stringify(hostile.reached());
  for (const part of secretsOf(secret)) expect(seen).not.toContain(part);
}

/** What is sent, with the secret that the job is after. */
const CREDENTIALS: readonly (readonly [string, () => Readonly<Record<string, string>>])[] = [
  ["the owner's token", () => bearer(token)],
  ["the owner's token in the gate's own field", () => ({ "x-taskgate-authorization": `Bearer ${token}` })],
  ["a token under another scheme", () => ({ authorization: `Token ${token}` })],
  ["a token behind something else", () => ({ authorization: `Digest x="y", Bearer ${token}` })],
  ["a token for a proxy", () => ({ "proxy-authorization": `Bearer ${token}` })],
  ["a token that is wrong by its last character", () => bearer(`${token.slice(0, -1)}a`)],
  ["a password", () => basic("alice")],
  ["a wrong password", () => basic("alice", "not the right password")],
  ["a password in the gate's own field", () => ({ "x-taskgate-authorization": basic("alice").authorization })],
  ["a token of a link", () => bearer(linkToken)],
  ["a hub's token, while the hub is away", () => ({ authorization: `token ${HUB_TOKEN}` })],
  ["a hub's token under its own scheme", () => ({ authorization: `jupyterhub ${HUB_TOKEN}` })],
  ["a provider's token, while the provider is away", () => bearer(ID_TOKEN)],
  ["a session's cookie", () => ({ cookie: session })],
  ["a session's cookie among the app's", () => ({ cookie: `a=1; ${session}; b="2"` })],
  ["a session's cookie in another case", () => ({ cookie: session.replace("taskgate", "TaskGate") })],
  ["a session's cookie with the prefix of TLS", () => ({ cookie: `__Host-${session}` })],
  ["a stranger's use of the proxy's secret", () => ({ "x-corp-user": "alice-of-the-proxy", "x-proxy-secret": PROXY_SECRET })], // prettier-ignore
];

describe.each(["own", "pub"])("a job that keeps all that reaches it, %s, does not get", (job) => {
  test.each(CREDENTIALS)("%s, over HTTP/1.1 or HTTP/2, in a head or in trailers", async (_what, make) => {
    const headers = make();
    const secret = Object.values(headers).join(" ");
    const fields = Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("");
    // By itself, and beside a login that is good: then the job is reached.
    await hostile.send(`GET / HTTP/1.1\r\n${hostile.host(job)}${fields}${CLOSE}\r\n`);
    expectUncaught(secret);
    const chunked = "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n";
    const own = "x-taskgate-authorization" in headers ? "" : login();
    await hostile.send(`POST / HTTP/1.1\r\n${hostile.host(job)}${own}${fields}${CLOSE}${chunked}${fields}\r\n`);
    expectUncaught(secret);
    const authority = { ":authority": `${job}.localhost:${String(hostile.port)}`, ":method": "POST" };
    const beside = own === "" ? {} : { "x-taskgate-authorization": `Bearer ${token}` };
    await hostile.askHttp2({ ...authority, ...beside, ...headers }, { body: "a", trailers: headers });
    expectUncaught(secret);
    const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    await hostile.send(`GET /ws HTTP/1.1\r\n${hostile.host(job)}${own}${fields}${upgrade}\r\n`, (answer) =>
      answer.includes("\r\n\r\n"),
    );
    expectUncaught(secret);
  });
});

test("the job is reached beside a good login, so that what it does not get is not for want of a request", async () => {
  const fields = `${login()}Authorization: token ${HUB_TOKEN}\r\nCookie: a=1; ${session}\r\n`;
  await hostile.send(`POST /here HTTP/1.1\r\n${hostile.host("own")}${fields}${CLOSE}Content-Length: 0\r\n\r\n`);
  const [request] = hostile.reached();
  expect(request?.url).toBe("/here");
  expect(request?.rawHeaders).toContain("a=1");
});

test("a session's cookie in crumbs over HTTP/2 is taken out of each of them", async () => {
  const authority = `own.localhost:${String(hostile.port)}`;
  const cookie = ["a=1", session, "b=2", `${session}-again`];
  expect(await hostile.askHttp2({ ":authority": authority, cookie })).toBe(200);
  const [request] = hostile.reached();
  expect(JSON.stringify(request)).not.toContain("taskgate-session");
  expect(JSON.stringify(request)).toContain("a=1");
});

describe("a visitor who says in fields who they are", () => {
  const NAMES = ["X-Taskgate-User", "x_taskgate_user", "X.Taskgate.Groups", "X-TASKGATE-ASSERTION", "Remote-User", "REMOTE_USER", "X-Forwarded-User", "X-Forwarded-Email", "X-Auth-Request-User", "X-WebAuth-User", "X-Remote-Group", "Tailscale-User-Login", "X-Amzn-Oidc-Data", "X-Goog-Authenticated-User-Email", "X-Ms-Client-Principal-Name", "Cf-Access-Authenticated-User-Email", "X-Corp-User", "X_Corp_User", "X-Ssl-Client-Cert"]; // prettier-ignore

  test.each(NAMES)("%s is not believed, over HTTP/1.1, HTTP/2 or in trailers", async (name) => {
    const field = `${name}: forged-root\r\n`;
    const chunked = `Transfer-Encoding: chunked\r\nTrailer: ${name}\r\n\r\n1\r\na\r\n0\r\n${field}\r\n`;
    await hostile.send(`POST / HTTP/1.1\r\n${hostile.host("own")}${login()}${field}${CLOSE}${chunked}`);
    const headers = {
      ...{ ":authority": `own.localhost:${String(hostile.port)}`, ":method": "POST" },
      ...{ "x-taskgate-authorization": `Bearer ${token}`, [name.toLowerCase()]: "forged-root" },
    };
    const trailers = { [name.toLowerCase()]: "forged-root" };
    expect(await hostile.askHttp2(headers, { body: "a", trailers })).toBe(200);
    const seen = hostile.reached();
    expect(seen).toHaveLength(2);
    expect(JSON.stringify(seen)).not.toContain("forged-root");
    for (const { rawHeaders } of seen) {
      const user = rawHeaders.findIndex((text, at) => at % 2 === 0 && text.toLowerCase() === "x-taskgate-user");
      expect(rawHeaders[user + 1]).toMatch(/^local\//);
    }
  });

  test("is nobody at a public service, whatever they say", async () => {
    const fields = NAMES.map((name) => `${name}: forged-root\r\n`).join("");
    await hostile.send(`GET / HTTP/1.1\r\n${hostile.host("pub")}${fields}${CLOSE}\r\n`);
    const [request] = hostile.reached();
    expect(JSON.stringify(request)).not.toMatch(/forged|taskgate-user/i);
  });

  test("is not the trusted proxy by X-Forwarded-For, Forwarded or a PROXY header", async () => {
    const says = `X-Corp-User: alice\r\nX-Proxy-Secret: ${PROXY_SECRET}\r\n`;
    for (const more of ["X-Forwarded-For: 127.0.0.3\r\n", "Forwarded: for=127.0.0.3\r\n", "X-Real-IP: 127.0.0.3\r\n"])
      expect(await hostile.send(`GET / HTTP/1.1\r\n${hostile.host("own")}${says}${more}${CLOSE}\r\n`)).toMatch(/^HTTP\/1\.1 401 /); // prettier-ignore
    const preface = "PROXY TCP4 127.0.0.3 127.0.0.1 1 2\r\n";
    const answer = await hostile.send(`${preface}GET / HTTP/1.1\r\n${hostile.host("own")}${says}${CLOSE}\r\n`);
    expect(answer).not.toMatch(/^HTTP\/1\.1 200/);
    expect(hostile.reached()).toEqual([]);
  });

  test("tells no job another address than theirs by X-Forwarded-For, over HTTP/1.1 and HTTP/2", async () => {
    const forged = ["X-Forwarded-For: 9.9.9.9", "Forwarded: for=9.9.9.9", "X-Forwarded-Host: evil.example"];
    await hostile.send(
      `GET / HTTP/1.1\r\n${hostile.host("own")}${login()}${forged.join("\r\n")}\r\n${PLANE === "envoy" ? CLOSE : "Connection: close, X-Forwarded-For\r\n"}\r\n`,
    );
    await hostile.askHttp2({
      ...{ ":authority": `own.localhost:${String(hostile.port)}`, "x-taskgate-authorization": `Bearer ${token}` },
      ...{ "x-forwarded-for": "9.9.9.9", forwarded: "for=9.9.9.9", "x-forwarded-host": "evil.example" },
    });
    const seen = hostile.reached();
    expect(seen).toHaveLength(2);
    expect(JSON.stringify(seen)).not.toMatch(/9\.9\.9\.9|evil/);
  });
});

describe("an assertion that a job kept", () => {
  const asserted = async (job: string) => {
    await hostile.statusFor(job, basic("alice"));
    const { rawHeaders = [] } = hostile.reached().at(-1) ?? {};
    return rawHeaders[rawHeaders.findIndex((name) => name.toLowerCase() === "x-taskgate-assertion") + 1] ?? "";
  };

  test.each<[string, (assertion: string) => Readonly<Record<string, string>>]>([
    ["a token", (assertion) => bearer(assertion)],
    ["a token in the gate's own field", (assertion) => ({ "x-taskgate-authorization": `Bearer ${assertion}` })],
    ["a session", (assertion) => ({ cookie: `${session.split("=")[0] ?? ""}=${assertion}` })],
    ["the word of who asks", (assertion) => ({ "x-taskgate-assertion": assertion, "x-taskgate-user": "corp/alice" })],
    ["a hub's token", (assertion) => ({ authorization: `jupyterhub ${assertion}` })],
    ["a password", (assertion) => basic("alice", assertion)],
  ])("is nothing at the gate as %s: neither at its own service, nor another, nor the API", async (_what, make) => {
    const assertion = await asserted("pub");
    expect(assertion.split(".")).toHaveLength(3);
    const headers = make(assertion);
    expect([401, 503]).toContain(await hostile.statusFor("own", headers));
    const api = await hostile.gate.ask("taskgate.localhost", `${API}/tasks`, { anonymous: true, headers });
    expect([401, 503]).toContain(api.status);
    expect(hostile.reached().filter(({ url }) => url !== "/")).toEqual([]);
  });
});

test("none of it is in the gate's log, in the audit log or in the state folder", () => {
  const secrets = [linkToken.slice(-40), session.slice(-40), HUB_TOKEN, ID_TOKEN, PASSWORD, PROXY_SECRET];
  const patterns = secrets.flatMap((secret) => ["-e", secret]);
  const found = execFileSync("sh", ["-c", 'grep -rlF "$@" || true', "sh", ...patterns, hostile.gate.home]).toString();
  expect(found).toBe("");
});
