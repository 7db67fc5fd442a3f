import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeAuthenticator } from "../src/auth/authenticators/authenticator.contract.ts";
import { startKerberos } from "../src/auth/authenticators/kerberos/kerberos.ts";
import { createLoginLimit } from "../src/auth/login-limit.ts";
import { createLogCapture } from "../src/auth/testing/auth-kit.ts";
import { KerberosMethod } from "../src/config/kerberos-method.ts";
import { systemClock } from "../src/platform/clock.ts";
import { debianProgram } from "../testbed/debian-program.ts";
import { kerberosPackage, startTestKdc, type TestKdc } from "../testbed/kerberos.ts";
import { startBrowser } from "./support/browser.ts";
import { type Answer, cleanEnvironment, ROOT, run, startTestGate, type TestGate } from "./support/gate.ts";
import { askMutually, mintTickets } from "./support/tickets.ts";

const REALM = "EXAMPLE.TEST";
const GATE = "taskgate.localhost";
/** Seconds that the clocks may differ; short, so that what is old can be waited for. */
const SKEW = 4;

const folder = mkdtempSync(join(tmpdir(), "taskgate-kerberos-"));
let NODE_PATH: string;
let kdc: TestKdc;
let keytab: string;
/** Of somebody who has logged in to Kerberos as alice. */
let alice: Readonly<Record<string, string>>;

/** Environment of somebody who logs in now. */
async function login(user: string, more: { readonly lifetime?: number } = {}) {
  return { ...cleanEnvironment(), ...(await kdc.login(user, more)), NODE_PATH };
}

beforeAll(async () => {
  NODE_PATH = await kerberosPackage();
  kdc = await startTestKdc({ realm: REALM, clockSkew: SKEW });
  for (const principal of ["alice", "host/ci.example.test", `HTTP/${GATE}`, "HTTP/hello.localhost"]) {
    await kdc.add(principal);
  }
  keytab = await kdc.keytab(`HTTP/${GATE}`);
  alice = await login("alice");
  // What judges tickets is started with this process's environment.
  Object.assign(process.env, kdc.environment, { NODE_PATH });
});

afterAll(async () => {
  await kdc[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** A new one each time: each is good once. */
async function ticket(service = `HTTP@${GATE}`, env = alice): Promise<string> {
  const [minted = ""] = await mintTickets(env, service, 1);
  return minted;
}

function damaged(authorization: string): string {
  const bytes = Buffer.from(authorization.slice("Negotiate ".length), "base64");
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
  return `Negotiate ${bytes.toString("base64")}`;
}

describeAuthenticator("kerberos", async () => {
  const log = createLogCapture();
  const config = KerberosMethod.parse({ type: "kerberos", name: "corp", keytab, realms: [REALM], patience: "10s" });
  const acceptor = new URL("../src/app/kerberos-acceptor.ts", import.meta.url);
  const authenticator = startKerberos({
    ...{ config, gateHost: GATE, acceptor, clock: systemClock, logger: log.logger },
    limit: createLoginLimit(systemClock),
  });
  const fresh = [...(await mintTickets(alice, `HTTP@${GATE}`, 8))];
  const [used = "", wrong = "", ...rights] = fresh;
  const [foreign = ""] = await mintTickets(alice, "HTTP@hello.localhost", 1);
  const headers = (authorization: string) => ({ authorization });
  const head = { method: "POST", host: GATE, path: "/", peer: "127.0.0.1", secure: false };
  await authenticator.authenticate({ ...head, header: (name) => headers(used)[name as "authorization"] }, new AbortController().signal); // prettier-ignore
  const away = `${keytab}.away`;
  const signal = (name: NodeJS.Signals) => process.kill(authenticator.acceptorPid() ?? 0, name);
  return {
    authenticator,
    principal: { realm: "corp", name: "alice", groups: [], admin: false },
    get right() {
      return headers(rights.shift() ?? "");
    },
    wrong: headers(damaged(wrong)),
    expired: headers(used),
    malformed: {
      "two at once": headers(`${wrong}, ${wrong}`),
      "something behind it": headers(`${wrong} x`),
      "no base64": headers(`${wrong}%`),
    },
    foreign: [
      headers(foreign), // an app may have Kerberos of its own
      headers("Negotiate"),
      headers("Negotiate TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAKAF1YAAAADw=="),
      headers("Bearer xyz"),
      { cookie: `ticket=${wrong}` },
    ],
    secrets: fresh.map((each) => each.slice("Negotiate ".length)),
    logged: () => log.text(),
    upstream: {
      stall: () => signal("SIGSTOP"),
      fail: () => renameSync(keytab, away),
      recover() {
        signal("SIGCONT");
        try {
          renameSync(away, keytab);
        } catch {
          // it was not away
        }
      },
    },
    [Symbol.asyncDispose]: () => {
      try {
        renameSync(away, keytab);
      } catch {
        // it was not away
      }
      return authenticator[Symbol.asyncDispose]();
    },
  };
});

/** A gate with Kerberos as a way to log in, and a job that anybody with a login may use. */
async function startGate(more = "", environment: Readonly<Record<string, string>> = {}): Promise<TestGate> {
  const config = join(folder, `${randomBytes(4).toString("hex")}.yaml`);
  writeFileSync(
    config,
    `${more}
login:
  methods:
    - type: kerberos
      name: corp
      keytab: ${keytab}
      realms: [${REALM}]
      names:
        - { principal: host/ci.example.test@${REALM}, name: ci }
`,
  );
  const gate = await startTestGate({ config, environment: { ...kdc.environment, NODE_PATH, ...environment } });
  const service = ["--service", "web=http", "--", process.execPath, join(ROOT, "examples", "services", "hello.mjs")];
  await gate.json("run", "--name", "hello", "--access", "authenticated", ...service);
  return gate;
}

describe("a program with a ticket of a real KDC", () => {
  let gate: TestGate;
  beforeAll(async () => {
    gate = await startGate();
  });
  afterAll(() => gate[Symbol.asyncDispose]());

  const ask = (host: string, headers: Readonly<Record<string, string>>, path = "/"): Promise<Answer> =>
    gate.ask(host, path, { anonymous: true, headers: { accept: "application/json", ...headers } });
  const whoAmI = async (headers: Readonly<Record<string, string>>) => {
    const answer = await ask(GATE, headers, "/.taskgate/api/v1/login");
    return answer.status === 200 ? (JSON.parse(answer.body) as unknown) : answer.status;
  };
  const api = () => `${gate.file().url}/.taskgate/api/v1/login`;

  test("calls the API by curl --negotiate", async () => {
    const curl = debianProgram("curl", ["/usr/bin/curl"]);
    const ran = await run(curl, ["--silent", "--fail", "--noproxy", "*", "--negotiate", "--user", ":", api()], alice);
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toMatchObject({ realm: "corp", name: "alice", admin: false });
  });

  test("is another one under another name, where the config says so", async () => {
    const env = await login("host/ci.example.test");
    expect(await whoAmI({ authorization: await ticket(`HTTP@${GATE}`, env) })).toMatchObject({ name: "ci" });
  });

  test("gets 401 with a reason for a ticket that was shown before, is of another time, is damaged, or is for others", async () => {
    const reason = async (authorization: string): Promise<string> => {
      const answer = await ask(GATE, { authorization }, "/.taskgate/api/v1/login");
      expect(answer.status).toBe(401);
      return (JSON.parse(answer.body) as { error: { message: string } }).error.message;
    };
    const [used, old, short] = [await ticket(), await ticket(), await ticket(`HTTP@${GATE}`, await login("alice", { lifetime: 1 }))]; // prettier-ignore
    const both = await Promise.all([whoAmI({ authorization: used }), whoAmI({ authorization: used })]);
    expect(both.filter((each) => each === 401)).toHaveLength(1); // also at the same time
    expect(await reason(used)).toContain("shown before");
    expect(await reason(await ticket("HTTP@hello.localhost"))).toContain("for another service");
    expect(await reason(damaged(await ticket()))).toContain("no good Kerberos ticket");
    expect(await reason("Negotiate TlRMTVNTUAABAAAAB4IIogAAAAAAAAAAAAAAAAAAAAAKAF1YAAAADw==")).toContain("NTLM");
    await setTimeout((SKEW + 3) * 1000);
    expect(await reason(short)).toContain("has expired");
    expect(await reason(old)).toContain("of another time");
    expect(await whoAmI({ authorization: await ticket() })).toMatchObject({ name: "alice" });
  });

  test("is let in to a service, and the job sees no ticket, be it good or bad", async () => {
    for (const name of ["authorization", "x-taskgate-authorization"]) {
      const sent = await ticket();
      const answer = await ask("hello.localhost", { [name]: sent });
      expect(answer.status, answer.body).toBe(200);
      expect(answer.body).not.toContain(sent.slice(-40));
      expect(answer.body).not.toMatch(/negotiate/i);
      expect((await ask("hello.localhost", { [name]: sent })).status).toBe(401); // once is all
    }
  });

  test("has the gate prove itself in return", async () => {
    const { port } = gate.file();
    for (const [host, path] of [
      [GATE, "/.taskgate/api/v1/login"],
      ["hello.localhost", "/"],
    ] as const) {
      expect(await askMutually(alice, `HTTP@${GATE}`, { port, host, path })).toBe("200 true");
    }
  });

  test("may show an app a ticket of the app's own, which passes to the letter", async () => {
    const own = await ticket("HTTP@hello.localhost");
    const login = `Bearer ${gate.token()}`;
    const answer = await ask("hello.localhost", { "x-taskgate-authorization": login, authorization: own });
    expect(JSON.parse(answer.body)).toMatchObject({ headers: { authorization: own } });
  });

  test("is asked for a ticket by the gate's API, and a browser's script there is not", async () => {
    const challenge = async (headers: Readonly<Record<string, string>>) =>
      (await ask(GATE, headers, "/.taskgate/api/v1/login")).headers["www-authenticate"];
    expect(await challenge({})).toBe('Bearer realm="taskgate", Negotiate');
    expect(await challenge({ "sec-fetch-mode": "cors", "sec-fetch-site": "same-origin" })).toBe(
      'Bearer realm="taskgate"',
    );
  });

  test("is not asked for a ticket by the gate on the hosts of jobs", async () => {
    const answer = await ask("hello.localhost", {});
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).not.toMatch(/negotiate/i);
  });

  test("gets 503 while the keytab is gone, never a yes and never a no", async () => {
    renameSync(keytab, `${keytab}.away`);
    const [good, bad] = [await ticket(), damaged(await ticket())];
    const answers = [await whoAmI({ authorization: good }), await whoAmI({ authorization: bad })];
    renameSync(`${keytab}.away`, keytab);
    expect(answers).toEqual([503, 503]);
    expect(await whoAmI({ authorization: good })).toMatchObject({ name: "alice" });
  });

  test("needs no KDC at the gate: tickets that are there are judged while it is away", async () => {
    const sent = await ticket();
    await kdc.stop();
    expect(await whoAmI({ authorization: sent })).toMatchObject({ name: "alice" });
    await kdc.start();
  });

  test("leaves no ticket in the gate's log", async () => {
    const sent = await ticket();
    await whoAmI({ authorization: sent });
    await whoAmI({ authorization: sent });
    expect(readFileSync(join(gate.home, "gate.log"), "utf8")).not.toContain(sent.slice(-40));
  });
});

test("a person at a browser that has a ticket is in with one click, and their ticket stays at the gate", async () => {
  await using gate = await startGate();
  const allowed = ["--auth-server-allowlist=*.localhost"];
  const browser = await startBrowser({
    args: allowed,
    environment: alice,
  });
  const context = await browser.newContext();
  const sent: (string | undefined)[] = [];
  const page = await context.newPage();
  page.on("request", (request) => {
    void request.allHeaders().then(
      (headers) => sent.push(`${new URL(request.url()).hostname} ${headers.authorization ?? ""}`),
      () => undefined,
    );
  });
  await page.goto(`http://hello.localhost:${String(gate.file().port)}/deep/link`);
  await page.getByRole("button", { name: "Log in with corp" }).click();
  await page.getByRole("heading", { name: "Hello from a job" }).waitFor();
  expect(page.url()).toContain("/deep/link");
  expect(await page.locator("pre").innerText()).toMatch(/x-taskgate-user: corp\/alice/i);
  expect(await page.locator("pre").innerText()).not.toMatch(/negotiate/i);
  expect(sent.filter((each) => each?.startsWith("hello.localhost Negotiate"))).toEqual([]);
  await browser.close();
});

test("workers let a ticket in once, and keep it from jobs", async () => {
  await using gate = await startGate("workers: 2");
  const sent = await ticket();
  const ask = () => gate.ask("hello.localhost", "/", { anonymous: true, headers: { authorization: sent } });
  const first = await ask();
  expect(first.status, first.body).toBe(200);
  expect(first.body).not.toContain(sent.slice(-40));
  expect((await ask()).status).toBe(401);
});

test("without the package the gate says what to install, and does not start", async () => {
  await expect(startGate("", { NODE_PATH: "" })).rejects.toThrow("npm install kerberos@7");
});
