import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  CLIENT_ID,
  CLIENT_SECRET,
  passProvider,
  startTestProvider,
  type TestProvider,
} from "../src/auth/testing/oidc-provider.ts";
import { API, bearer, type HostileGate, startHostileGate } from "./support/hostile.ts";

interface Begun {
  readonly location: string;
  readonly state: string;
  readonly secret: string;
}

let provider: TestProvider;
let hostile: HostileGate;

beforeAll(async () => {
  provider = await startTestProvider({ people: { alice: { groups: ["ml"] }, eve: { groups: ["ml"] } } });
  const method = {
    ...{ type: "oidc", name: "corp", issuer: provider.issuer, clientId: CLIENT_ID },
    ...{ clientSecretFile: "client-secret", nameClaim: "preferred_username" },
    ...{ scopes: ["openid", "profile", "email", "groups"], adminGroups: ["admins"] },
  };
  const prepare = (folder: string) => writeFileSync(join(folder, "client-secret"), CLIENT_SECRET, { mode: 0o600 });
  hostile = await startHostileGate({ login: { methods: [method] } }, prepare, "passwords");
  provider.register(hostile.gate.file().url);
  await hostile.run("all", "--access", "authenticated");
  await hostile.run("own");
});

afterAll(async () => {
  await hostile[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});

const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const claims = (more: object = {}) => ({ sub: "alice", preferred_username: "alice", exp: inSeconds(300), ...more });
const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
const decode = (part = "") => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
const api = <T>(path: string, body: object) => hostile.api<T>("POST", `/login/methods/corp/${path}`, {}, body);
const begin = async () => (await api<Begun>("begin", {})).json;
const come = (parameters: string, secret: string) => api<{ token?: string; principal?: string }>("complete", { parameters, secret }); // prettier-ignore

describe("a program's token of the provider", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signed = (header: object, payload: object, key: KeyObject = privateKey) => {
    const text = `${encode(header)}.${encode(payload)}`;
    return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
  };
  const issued = async (more: object = {}) => {
    const token = await provider.sign(claims(more));
    const [head = "", payload = "", signature = ""] = token.split(".");
    return { token, head, payload, signature, header: decode(head), said: decode(payload) };
  };
  const hmac = (header: object, payload: string, key: string | Buffer) => {
    const text = `${encode(header)}.${payload}`;
    return `${text}.${createHmac("sha256", key).update(text).digest("base64url")}`;
  };

  test("that is right lets in, so that the rest shows something", async () => {
    expect(await hostile.statusFor("all", bearer((await issued()).token))).toBe(200);
  });

  test.each<[string, () => Promise<string>]>([
    ["alg none", async () => `${encode({ alg: "none" })}.${(await issued()).payload}.`],
    ["alg nOnE and the right key id", async () => `${encode({ ...(await issued()).header, alg: "nOnE" })}.${(await issued()).payload}.`],
    ["HMAC by the client's secret", async () => hmac({ alg: "HS256" }, (await issued()).payload, CLIENT_SECRET)],
    ["HMAC by the provider's public key", async () => {
      const keys = await (await fetch(`${provider.issuer}/jwks`)).text();
      return hmac({ ...(await issued()).header, alg: "HS256" }, (await issued()).payload, keys);
    }],
    ["a key of the attacker under the provider's id", async () => signed((await issued()).header, claims({ iss: provider.issuer, aud: CLIENT_ID }))],
    ["a key of the attacker, embedded", async () => signed({ ...(await issued()).header, jwk: publicKey.export({ format: "jwk" }) }, (await issued()).said)],
    ["a key of the attacker, at an address", async () => signed({ ...(await issued()).header, jku: "http://127.0.0.1:9/jwks", x5u: "http://127.0.0.1:9/" }, (await issued()).said)],
    ["a key id that climbs", async () => signed({ ...(await issued()).header, kid: "../../../dev/null" }, (await issued()).said)],
    ["no key id", async () => signed({ alg: "ES256" }, (await issued()).said)],
    ["another audience", () => provider.sign(claims({ aud: "another" }))],
    ["another issuer", () => provider.sign(claims({ iss: "http://127.0.0.1:9" }))],
    ["no end", () => provider.sign({ sub: "alice", preferred_username: "alice" })],
    ["an end long ago", () => provider.sign(claims({ exp: inSeconds(-600) }))],
    ["a beginning to come", () => provider.sign(claims({ nbf: inSeconds(600) }))],
    ["the type of a logout token", () => provider.sign(claims({ events: {} }), { typ: "logout+jwt" })],
    ["another person under the same signature", async () => {
      const { head, signature, said } = await issued();
      return `${head}.${encode({ ...said, groups: ["admins"] })}.${signature}`;
    }],
    ["a name with a line break", () => provider.sign(claims({ preferred_username: "alice\nroot" }))],
    ["a name that is a list", () => provider.sign(claims({ preferred_username: ["alice", "root"] }))],
    ["a name that hides characters", () => provider.sign(claims({ preferred_username: "al\u202eice" }))],
  ])("with %s lets nobody in, and never reaches a job", async (_what, make) => {
    const token = await make();
    const status = await hostile.statusFor("own", bearer(token));
    expect([401, 403]).toContain(status);
    expect(await hostile.statusFor("all", bearer(token))).toSatisfy((found: number) => found === 401 || found === 403);
    expect((await hostile.api("GET", "/tasks", bearer(token))).status).toSatisfy((found: number) => found >= 400);
    expect(JSON.stringify(hostile.reached())).not.toContain(token);
  }); // prettier-ignore
});

test("a person who is named like somebody of another realm is not that one", async () => {
  const { username } = userInfo();
  const token = await provider.sign(claims({ preferred_username: `local/${username}` }));
  const { json } = await hostile.api("GET", "/login", bearer(token));
  expect(json).toEqual({ realm: "corp", name: `local/${username}`, admin: false });
  expect(await hostile.statusFor("own", bearer(token))).toBe(403);
});

describe("a login at the provider's page", () => {
  test("is good once, with the secret of the browser that began it", async () => {
    const begun = await begin();
    const back = await passProvider(begun.location, "alice");
    const other = await begin();
    expect((await come(back.search, other.secret)).status).toBe(401);
    const again = await passProvider((await begin()).location, "alice");
    expect((await come(again.search, "")).json.token).toBeUndefined();
    const own = await begin();
    const right = await passProvider(own.location, "alice");
    const answers = await Promise.all(Array.from({ length: 6 }, () => come(right.search, own.secret)));
    expect(answers.filter(({ json }) => json.token !== undefined)).toHaveLength(1);
    expect((await come(right.search, own.secret)).status).toBe(401);
  });

  test("takes no code of another person's login under one's own state (injection)", async () => {
    const [victim, attacker] = [await begin(), await begin()];
    const stolen = (await passProvider(victim.location, "alice")).searchParams;
    const own = (await passProvider(attacker.location, "eve")).searchParams;
    own.set("code", stolen.get("code") ?? "");
    const { status, json } = await come(`?${own.toString()}`, attacker.secret);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(json.token).toBeUndefined();
  });

  test.each<[string, (parameters: URLSearchParams) => void]>([
    ["another provider's name in the answer (mix-up)", (parameters) => parameters.set("iss", "http://evil.example")],
    ["no state", (parameters) => parameters.delete("state")],
    ["another state", (parameters) => parameters.set("state", "A".repeat(43))],
    ["two states", (parameters) => parameters.append("state", "A".repeat(43))],
    ["two codes", (parameters) => parameters.append("code", "x")],
    ["a wrong code", (parameters) => parameters.set("code", "x")],
    ["an identity in the answer itself", (parameters) => {
      parameters.delete("code");
      parameters.set("id_token", `${encode({ alg: "none" })}.${encode(claims())}.`);
    }],
  ])("with %s lets nobody in", async (_what, change) => {
    const begun = await begin();
    const { searchParams } = await passProvider(begun.location, "alice");
    change(searchParams);
    const { status, json } = await come(`?${searchParams.toString()}`, begun.secret);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(json.token).toBeUndefined();
  }); // prettier-ignore

  test("goes back to the gate's own callback, whatever the request says", async () => {
    const said = { "x-forwarded-host": "evil.example", "x-forwarded-proto": "https", forwarded: "host=evil.example" };
    for (const path of ["/begin", "/begin?redirect_uri=http://evil.example/&return_to=//evil.example"]) {
      const answer = await hostile.gate.ask("taskgate.localhost", `${API}/login/methods/corp${path}`, {
        ...{ method: "POST", anonymous: true, headers: { "content-type": "application/json", ...said }, body: "{}" },
      });
      if (answer.status !== 200) continue;
      const { location } = JSON.parse(answer.body) as Begun;
      const to = new URL(location);
      expect(to.origin).toBe(provider.issuer);
      expect(to.searchParams.get("redirect_uri")).toBe(`${hostile.gate.file().url}/.taskgate/login/corp/callback`);
      expect(to.searchParams.get("code_challenge_method")).toBe("S256");
    }
  });
});

describe("the provider's word that a login has ended", () => {
  const events = { "http://schemas.openid.net/event/backchannel-logout": {} };
  const tell = async (token: string) => {
    const answer = await hostile.gate.ask("taskgate.localhost", "/.taskgate/login/corp/backchannel-logout", {
      ...{ method: "POST", anonymous: true, body: `logout_token=${token}` },
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    return answer.status;
  };

  test("is nobody else's: what the provider did not sign for that throws nobody out", async () => {
    const begun = await begin();
    const { json } = await come((await passProvider(begun.location, "alice")).search, begun.secret);
    const jti = () => crypto.randomUUID();
    const right = { sub: "alice", events };
    for (const token of [
      `${encode({ alg: "none", typ: "logout+jwt" })}.${encode({ ...right, iss: provider.issuer, aud: CLIENT_ID })}.`,
      await provider.sign({ sub: "alice", jti: jti(), exp: inSeconds(60) }, { typ: "logout+jwt" }),
      await provider.sign({ ...right, jti: jti(), aud: "another", exp: inSeconds(60) }, { typ: "logout+jwt" }),
      await provider.sign({ ...right, jti: jti(), nonce: "x", exp: inSeconds(60) }, { typ: "logout+jwt" }),
      await provider.sign({ events, jti: jti(), exp: inSeconds(60) }, { typ: "logout+jwt" }),
    ]) {
      expect(await tell(token)).toBe(400);
    }
    expect(await hostile.statusFor("all", bearer(json.token ?? ""))).toBe(200);
    expect(await tell(await provider.sign({ ...right, jti: jti() }, { typ: "logout+jwt" }))).toBe(200);
    expect(await hostile.statusFor("all", bearer(json.token ?? ""))).toBe(401);
  });
});
