import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GrantCreated } from "../src/api/wire-access.ts";
import { enter } from "./support/enter.ts";
import { type Answer, PLANE } from "./support/gate.ts";
import { basic, cookieOf, type HostileGate, PAGE, startHostileGate, statusOf } from "./support/hostile.ts";

let hostile: HostileGate;
/** NAME=VALUE, of the owner at `own`. */
let session: string;
let cookieName: string;
let value: string;

beforeAll(async () => {
  hostile = await startHostileGate();
  await hostile.run("own");
  await hostile.run("other");
  await hostile.run("pub", "--access", "public");
  session = await enter(hostile.gate, "own.localhost");
  [cookieName = "", value = ""] = session.split("=");
});

afterAll(() => hostile[Symbol.asyncDispose]());

const as = (cookie: string, more: Readonly<Record<string, string>> = {}) =>
  hostile.statusFor("own", { cookie, ...more });

/** What a browser keeps of its way to the login page. */
async function begin(name = "own", path = "/deep?x=1", headers = {}) {
  const sent = await hostile.gate.ask(`${name}.localhost`, path, { anonymous: true, headers: { ...PAGE, ...headers } });
  expect(sent.status).toBe(302);
  const to = new URL(sent.headers.location ?? "");
  const [host, state, deep] = ["host", "state", "path"].map((part) => to.searchParams.get(part) ?? "");
  return { asked: { host, state, path: deep }, state: cookieOf(sent, "state"), to };
}

/** The code's address that the login page goes on to. */
async function visit(asked: object, headers: object = { authorization: `Bearer ${hostile.gate.token()}` }) {
  const { status, json } = await hostile.api<{ location?: string } | null>("POST", "/visits", headers, asked);
  return { status, location: json?.location === undefined ? null : new URL(json.location) };
}

const comeBack = (location: URL | null, cookie: string): Promise<Answer> =>
  hostile.gate.ask(location?.hostname ?? "", `${location?.pathname ?? ""}${location?.search ?? ""}`, {
    ...{ anonymous: true, headers: { ...PAGE, cookie } },
  });

describe("a sibling that tosses cookies", () => {
  test("keeps nobody out by a few that are bad", async () => {
    const junk = [`${cookieName}=junk`, `${cookieName}=a.b.c`, `${cookieName}=`];
    expect(await as([...junk, session].join("; "))).toBe(200);
    expect(await as([session, ...junk].join("; "))).toBe(200);
  });

  test("has the gate look at no more than a few signatures, however many it tosses", async () => {
    const forged = `${value.slice(0, -86)}${"A".repeat(86)}`;
    const many = Array.from({ length: 200 }, () => `${cookieName}=${forged.slice(0, 200)}`).join("; ");
    expect(await as(`${many}; ${session}`)).toBe(401);
    expect(await as(session)).toBe(200);
  });

  test("opens nothing by the session that somebody has at its own service", async () => {
    const others = (await enter(hostile.gate, "other.localhost")).split("=")[1] ?? "";
    expect(await as(`${cookieName}=${others}`)).toBe(401);
  });

  test.each(["__Host-", "__Secure-", "__host-", "%5f%5fHost-"])(
    "is not believed under the prefix %s",
    async (prefix) => {
      expect(await as(`${prefix}${session}`)).toBe(401);
    },
  );

  test.each<[string, (name: string, token: string) => string]>([
    // Envoy reads what is in them (RFC 6265, 4.1.1), as the same session of the same host.
    ...(PLANE === "envoy" ? [] : [["quotes", (name, token) => `${name}="${token}"`] as [string, (name: string, token: string) => string]]), // prettier-ignore
    ["another case", (name, token) => `${name.toUpperCase()}=${token}`],
    ["a name without value before it", (name, token) => `${name}; x=${token}`],
    ["no name", (name, token) => `=${name}=${token}`],
    ["another port's name", (name, token) => `${name}0=${token}`],
    ["a field of its own for each half", (name, token) => `${name}=${token.slice(0, 100)}, ${token.slice(100)}`],
  ])("makes no session of one in %s", async (_what, spell) => {
    expect(await as(spell(cookieName, value))).toBe(401);
  });
});

describe("a session that somebody prepared", () => {
  test("is not taken over by the login: who comes back has a new one", async () => {
    const { asked, state } = await begin("own", "/", { cookie: `${cookieName}=chosen-by-somebody-else` });
    const back = await comeBack((await visit(asked)).location, `${state}; ${cookieName}=chosen-by-somebody-else`);
    expect(back.status).toBe(302);
    expect(cookieOf(back, "session")).not.toContain("chosen");
    expect(cookieOf(back, "session")).not.toBe(session);
  });

  test("begins with no state that is none of the gate's form", async () => {
    for (const chosen of ["x", "A".repeat(42), "A".repeat(44), "../".repeat(14)]) {
      const { state } = await begin("own", "/", { cookie: `taskgate-state-${String(hostile.port)}=${chosen}` });
      expect(state.split("=")[1]).not.toBe(chosen);
      expect(state.split("=")[1]).toMatch(/^[\w-]{43}$/);
    }
  });

  test("logs nobody in by a link that somebody else began: the code wants the browser that has the state", async () => {
    const attacker = await begin();
    const victim = await begin();
    const { location } = await visit(attacker.asked, basic("alice"));
    expect(location).toBeNull(); // alice may not use it, and there is no code of somebody who may not
    const mine = await visit(attacker.asked);
    expect((await comeBack(mine.location, victim.state)).status).toBe(403);
  });

  test("is over after logging out, on its host and for good", async () => {
    const mine = await enter(hostile.gate, "own.localhost");
    const left = await hostile.gate.ask("own.localhost", "/.taskgate/logout", {
      ...{ anonymous: true, headers: { cookie: mine, "sec-fetch-site": "same-origin" } },
    });
    expect([left.status, new URL(left.headers.location ?? "").origin]).toEqual([302, hostile.gate.file().url]);
    expect(await as(mine)).toBe(401);
    expect(await as(session)).toBe(200);
  });
});

describe("a login code", () => {
  test("is good for one of many who show it at once", async () => {
    const { asked, state } = await begin();
    const { location } = await visit(asked);
    const answers = await Promise.all(Array.from({ length: 12 }, () => comeBack(location, state)));
    expect(answers.filter((answer) => cookieOf(answer, "session") !== "")).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(11);
  });

  test.each(["other", "pub", "paths", "taskgate"])(
    "of one service is nothing at the host %s, and spent",
    async (name) => {
      const { asked, state } = await begin();
      const { location } = await visit(asked);
      const elsewhere = new URL(location ?? "");
      elsewhere.hostname = `${name}.localhost`;
      const there = await comeBack(elsewhere, state);
      expect(cookieOf(there, "session")).toBe("");
      expect(there.status).toBeGreaterThanOrEqual(400);
    },
  );

  test("is nothing once the grant is taken back that it stands on, and nothing once the login has ended", async () => {
    await hostile.gate.cli("share", "own", "--with", "alice");
    const shared = await begin();
    const { location } = await visit(shared.asked, basic("alice"));
    expect(location).not.toBeNull();
    await hostile.gate.cli("unshare", "own", "--with", "alice");
    expect((await comeBack(location, shared.state)).status).toBe(403);
    const made = await hostile.gate.json<{ id: string; token: string }>("token", "create", "short");
    const own = await begin();
    const code = await visit(own.asked, { authorization: `Bearer ${made.token}` });
    await hostile.gate.cli("token", "revoke", made.id);
    expect((await comeBack(code.location, own.state)).status).toBe(403);
  });

  test("of a login link is good for one of many who show it at once", async () => {
    const { url } = await hostile.gate.json<{ url: string }>("open", "--print");
    const body = { code: url.slice(url.indexOf("code=") + 5) };
    const answers = await Promise.all(Array.from({ length: 12 }, () => hostile.api("POST", "/login", {}, body)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => [401, 429].includes(status))).toHaveLength(11);
  });

  test("of a command line is fetched once, by one, however many ask at once; and answered once", async () => {
    const begun = await hostile.api<{ deviceCode: string; userCode: string }>("POST", "/login/device", {}, { client: "x" }); // prettier-ignore
    const { deviceCode, userCode } = begun.json;
    const owner = { authorization: `Bearer ${hostile.gate.token()}` };
    const answer = (approve: boolean) => hostile.api("POST", "/login/device/answer", owner, { userCode, approve });
    expect((await answer(true)).status).toBe(204);
    expect((await answer(true)).status).toBe(404);
    const polls = await Promise.all(
      Array.from({ length: 8 }, () =>
        hostile.api<{ state?: string }>("POST", "/login/device/poll", {}, { deviceCode }),
      ),
    );
    expect(polls.filter(({ json }) => json.state === "approved")).toHaveLength(1);
    expect((await hostile.api("POST", "/login/device/poll", {}, { deviceCode })).status).toBe(401);
    expect((await hostile.api("POST", "/login/device/poll", {}, { deviceCode: userCode })).status).toBe(401);
  });

  test("of a link to share is not made of one link's name and another's secret", async () => {
    const [one] = await hostile.gate.json<GrantCreated[]>("share", "own", "--link");
    const [other] = await hostile.gate.json<GrantCreated[]>("share", "other", "--link");
    const textOf = (grant?: GrantCreated) => /#link=(.+)$/.exec(grant?.link ?? "")?.[1] ?? "";
    const secret = textOf(other).slice(-43);
    const redeem = async (link: string) => (await hostile.api("POST", "/links/redeem", {}, { link })).status;
    for (const link of [
      `${one?.id ?? ""}_${secret}`,
      one?.id ?? "",
      `${one?.id ?? ""}_`,
      textOf(one).toUpperCase(),
      `${textOf(one)}x`,
      textOf(one).slice(0, -1),
      "__proto___x",
    ]) {
      expect([400, 401], link).toContain(await redeem(link));
    }
    expect(await redeem(textOf(one))).toBe(200);
    await hostile.gate.cli("unshare", "own", "--links");
    await hostile.gate.cli("unshare", "other", "--links");
  });
});

describe("a forged session", () => {
  const parts = () => {
    const [head = "", payload = "", signature = ""] = value.split(".");
    const read = (text: string) => JSON.parse(Buffer.from(text, "base64url").toString()) as Record<string, unknown>;
    return { head, payload, signature, header: read(head), claims: read(payload) };
  };
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  /** Signed by the attacker's own key. */
  const signed = (header: object, claims: object, key: KeyObject = privateKey) => {
    const text = `${encode(header)}.${encode(claims)}`;
    return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
  };
  /** The order of the group of Ed25519, little-endian: S and S + L are the same to a sloppy verifier (RFC 8032 section 5.1.7). */
  const L = Buffer.from("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", "hex");
  const added = (signature: string) => {
    const bytes = Buffer.from(signature, "base64url");
    let carry = 0;
    for (let at = 0; at < 32; at += 1) {
      const sum = bytes.readUInt8(32 + at) + L.readUInt8(at) + carry;
      bytes.writeUInt8(sum & 0xff, 32 + at);
      carry = sum >> 8;
    }
    return bytes.toString("base64url");
  };

  test.each<[string, () => string]>([
    ["alg none", () => `${encode({ alg: "none", typ: parts().header.typ })}.${parts().payload}.`],
    ["alg None, with the key's id", () => `${encode({ ...parts().header, alg: "None" })}.${parts().payload}.`],
    ["no signature under the right header", () => `${parts().head}.${parts().payload}.`],
    ["a signature of zeros", () => `${parts().head}.${parts().payload}.${"A".repeat(86)}`],
    ["a signature that is the same to a sloppy verifier", () => `${parts().head}.${parts().payload}.${added(parts().signature)}`],
    // Envoy reads the same signature in it, of the same session.
    ...(PLANE === "envoy" ? [] : [["a signature with padding", () => `${value}==`] as [string, () => string]]),
    ["a fourth part", () => `${value}.x`],
    ["HMAC with the key's id as secret", () => {
      const text = `${encode({ ...parts().header, alg: "HS256" })}.${parts().payload}`;
      return `${text}.${createHmac("sha256", String(parts().header.kid)).update(text).digest("base64url")}`;
    }],
    ["the attacker's key, embedded", () => signed({ ...parts().header, jwk: publicKey.export({ format: "jwk" }) }, parts().claims)],
    ["the attacker's key, under the gate's id", () => signed(parts().header, parts().claims)],
    ["the attacker's key, at an address", () => signed({ ...parts().header, jku: "http://127.0.0.1:9/jwks.json" }, parts().claims)],
    ["a key id that leads to a file", () => signed({ ...parts().header, kid: "../../../../dev/null" }, parts().claims)],
    ["a key id of every object", () => signed({ ...parts().header, kid: "__proto__" }, parts().claims)],
    ["a key id of another type", () => signed({ ...parts().header, kid: ["x"] }, parts().claims)],
    ["a critical extension", () => signed({ ...parts().header, crit: ["b64"], b64: false }, parts().claims)],
    ["another person in the claims", () => `${parts().head}.${encode({ ...parts().claims, sub: "alice", adm: true })}.${parts().signature}`],
    ["a later end", () => `${parts().head}.${encode({ ...parts().claims, exp: 9e9 })}.${parts().signature}`],
    ["another spelling of the same header", () => `${encode({ typ: parts().header.typ, ...parts().header })}.${parts().payload}.${parts().signature}`],
  ])("by %s is none", async (_what, forge) => {
    const forged = forge();
    expect(forged).not.toBe(value);
    expect(await as(`${cookieName}=${forged}`)).toBe(401);
    expect(await hostile.statusFor("own", { authorization: `Bearer ${forged}` })).toBe(401);
    expect(await as(session)).toBe(200);
  }); // prettier-ignore
});

describe("a browser is led nowhere else", () => {
  const EVIL = ["//evil.example", "/\\evil.example", "\\\\evil.example", "http://evil.example/", "https:evil.example", "javascript:alert(1)", "/\t/evil.example", "/\u0000/evil.example", "/%0d%0aLocation:x\r\n", " //evil.example", "data:text/html,x"]; // prettier-ignore

  test.each(EVIL)("by the path %j of a visit", async (path) => {
    const { asked, state } = await begin();
    const { status, location } = await visit({ ...asked, path });
    if (location === null) return expect(status).toBe(400);
    const back = await comeBack(location, state);
    expect(new URL(back.headers.location ?? "").host).toBe(asked.host);
  });

  test.each(EVIL)(
    "by the parameter %j of what has none: the code's address, logout, the login page, a callback",
    async (evil) => {
      const query = ["path", "to", "next", "redirect", "redirect_uri", "return", "url"].map((name) => `${name}=${encodeURIComponent(evil)}`).join("&"); // prettier-ignore
      const { asked, state } = await begin();
      const { location } = await visit(asked);
      const back = await comeBack(new URL(`${String(location)}&${query}`), state);
      expect(back.headers.location).toBe(`http://${asked.host}/deep?x=1`);
      const ask = (name: string, path: string) => hostile.gate.ask(`${name}.localhost`, `${path}?${query}`, { anonymous: true, headers: PAGE }); // prettier-ignore
      for (const [name, path] of [
        ["own", "/.taskgate/logout"],
        ["taskgate", "/.taskgate/login"],
        ["taskgate", "/.taskgate/login/corp/callback"],
        ["taskgate", "/.taskgate/share"],
        ["taskgate", "/.taskgate/device"],
        ["taskgate", "/"],
      ] as const) {
        const { location: to } = (await ask(name, path)).headers;
        if (to !== undefined) expect(new URL(to, hostile.gate.file().url).origin).toBe(hostile.gate.file().url);
      }
    },
  );

  test("by fields that say another host", async () => {
    const said = { "x-forwarded-host": "evil.example", forwarded: "host=evil.example", "x-original-url": "//evil.example/", "x-forwarded-proto": "javascript", "x-forwarded-prefix": "//evil.example" }; // prettier-ignore
    const { to, asked } = await begin("own", "/x", said);
    expect([to.origin, asked.host]).toEqual([hostile.gate.file().url, `own.localhost:${String(hostile.port)}`]);
    expect(asked.path).toBe("/x");
  });

  test("by the host of a visit in any spelling of another", async () => {
    const { asked } = await begin();
    const p = String(hostile.port);
    for (const host of [
      `own.localhost.:${p}`,
      `OWN.localhost:${p}`,
      `own.localhost:${p}@evil.example`,
      `own.localhost:${p}/`,
      `own.localhost:0${p}`,
      `own.localhost:${p}#`,
      "evil.example",
      `owń.localhost:${p}`,
      `own。localhost:${p}`,
      "",
    ])
      // prettier-ignore
      expect([400, 404], host).toContain((await visit({ ...asked, host })).status);
  });
});

describe("another site's page that uses the visitor's cookie", () => {
  const own = () => `http://own.localhost:${String(hostile.port)}`;
  const FOREIGN: readonly (readonly [string, () => Readonly<Record<string, string>>])[] = [
    ["another site", () => ({ origin: "http://evil.example", "sec-fetch-site": "cross-site" })],
    ["a sibling", () => ({ origin: `http://pub.localhost:${String(hostile.port)}`, "sec-fetch-site": "same-site" })],
    ["the gate's own page", () => ({ origin: hostile.gate.file().url, "sec-fetch-site": "same-site" })],
    ["the same host at another port", () => ({ origin: "http://own.localhost:1" })],
    ["the same host over TLS", () => ({ origin: own().replace("http:", "https:") })],
    ["an origin that begins like it", () => ({ origin: `${own()}.evil.example` })],
    ["an origin in another case", () => ({ origin: own().toUpperCase() })],
    ["a sandboxed frame", () => ({ origin: "null", "sec-fetch-site": "cross-site" })],
    ["nowhere that it says", () => ({})],
    ["an empty origin", () => ({ origin: "" })],
    ["two origins", () => ({ origin: `${own()}, http://evil.example` })],
    ["the right origin, though the browser says cross-site", () => ({ origin: own(), "sec-fetch-site": "cross-site" })],
  ];

  test.each(FOREIGN)(
    "from %s changes nothing and opens no WebSocket, over HTTP/1.1 and HTTP/2",
    async (_what, make) => {
      const headers = { ...make(), cookie: session };
      for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
        const { status } = await hostile.gate.ask("own.localhost", "/", { anonymous: true, method, headers });
        expect(status, method).toBe(403);
      }
      const fields = Object.entries(headers).map(([name, text]) => `${name}: ${text}\r\n`).join(""); // prettier-ignore
      const upgrade = `${fields}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n`;
      expect(statusOf(await hostile.send(`GET / HTTP/1.1\r\n${hostile.host("own")}${upgrade}\r\n`))).toBe(403);
      const authority = { ":authority": `own.localhost:${String(hostile.port)}`, ":scheme": "http" };
      expect(await hostile.askHttp2({ ...authority, ...headers, ":method": "POST" }, { body: "x" })).toBe(403);
      const socket = { ":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13" };
      expect(await hostile.askHttp2({ ...authority, ...headers, ...socket }, { body: "" })).toBe(403);
      expect(hostile.reached().filter(({ method }) => method !== "GET")).toEqual([]);
    },
  );

  test("is told apart from the service's own, which may", async () => {
    const headers = { origin: own(), "sec-fetch-site": "same-origin", cookie: session };
    expect((await hostile.gate.ask("own.localhost", "/", { anonymous: true, method: "POST", headers })).status).toBe(
      200,
    );
  });

  test("reads no answer: no job says in the gate's name who may", async () => {
    const headers = { origin: "http://evil.example", cookie: session, "access-control-request-method": "POST" };
    const preflight = await hostile.gate.ask("own.localhost", "/", { anonymous: true, method: "OPTIONS", headers });
    expect(Object.keys(preflight.headers).join()).not.toContain("access-control");
  });

  test.each(FOREIGN.slice(0, 3))("from %s throws nobody out", async (_what, make) => {
    const mine = await enter(hostile.gate, "own.localhost");
    for (const method of ["GET", "POST"]) {
      const headers = { ...make(), cookie: mine };
      const left = await hostile.gate.ask("own.localhost", "/.taskgate/logout", { anonymous: true, method, headers });
      expect(left.status).toBe(403);
    }
    expect(await as(mine)).toBe(200);
  });

  test("logs nobody in as somebody else: forms cannot send what the API takes", async () => {
    const body = JSON.stringify({ user: "alice", password: "correct horse" });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
      const answer = await hostile.gate.ask("taskgate.localhost", "/.taskgate/api/v1/login/methods/corp/password", {
        ...{ anonymous: true, method: "POST", body, headers: { "content-type": type, origin: "http://evil.example" } },
      });
      expect([400, 403, 415], type).toContain(answer.status);
    }
  });
});
