import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { z } from "zod";
import { JupyterHubMethod } from "../../../config/jupyterhub-method.ts";
import type { Principal } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import { createManualClock } from "../../../store/testing/manual-clock.ts";
import { createCredentials } from "../../credentials.ts";
import { createLoginLimit } from "../../login-limit.ts";
import { createLogCapture, START } from "../../testing/auth-kit.ts";
import { makeHead } from "../../testing/browser.ts";
import { describeAuthenticator } from "../authenticator.contract.ts";
import type { Authenticator, RedirectLogin } from "../authenticator.ts";
import { describeRedirectLogin } from "../interactive.contract.ts";
import { createJupyterHub } from "./jupyterhub.ts";
import { type HubServer, ODDITIES, STALLED, startHubServer } from "./testing/hub-server.ts";

const ALICE = "8ecd245c6f234599930e1f393293dd07";
const EVE = "00000000000000000000000000000bad";
const GONE = "00000000000000000000000000000000";
const SCOPE = "access:services!service=taskgate";
const USER = { kind: "user", name: "alice", admin: false, groups: ["ml"], scopes: [SCOPE], token_id: "a3" };
const PRINCIPAL: Principal = {
  ...{ realm: "hub", name: "alice", groups: [{ realm: "hub", name: "ml" }], admin: false },
};

type More = Partial<z.input<typeof JupyterHubMethod>>;

function configOf(url: string, more: More = {}): JupyterHubMethod {
  return JupyterHubMethod.parse({ type: "jupyterhub", name: "hub", url, ...more });
}

/** Files with the secret of the hub's service, and with a wrong one. */
const folder = mkdtempSync(join(tmpdir(), "taskgate-hub-"));
const [secretFile, guessFile] = [join(folder, "secret"), join(folder, "guess")];
beforeAll(() => {
  writeFileSync(secretFile, "the-service\n");
  writeFileSync(guessFile, "guessed");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function authenticatorOf(url: string, more: More = {}, clock: Clock = createManualClock(START)): Authenticator {
  return createJupyterHub({
    config: configOf(url, { clientSecretFile: secretFile, ...more }),
    limit: createLoginLimit(clock),
    clock,
  });
}

const authorization = (value: string) => ({ authorization: value });

describeAuthenticator("jupyterhub", async () => {
  const hub = await startHubServer();
  const log = createLogCapture();
  hub.users.set(ALICE, USER);
  return {
    authenticator: authenticatorOf(hub.url),
    principal: PRINCIPAL,
    right: authorization(`jupyterhub ${ALICE}`),
    wrong: authorization(`token ${EVE}`),
    expired: authorization(`Bearer ${GONE}`),
    malformed: {
      "no token": authorization("jupyterhub"),
      "two tokens": authorization(`jupyterhub ${ALICE} ${ALICE}`),
      "sent twice": authorization(`token ${ALICE}, token ${ALICE}`),
      "a token that no header can hold": authorization("jupyterhub caf\u00e9"),
    },
    foreign: [
      authorization(`token ${"0123456789abcdef".repeat(3)}`), // a notebook server's own
      authorization("Bearer xyz"),
      authorization("Basic eDp5"),
      authorization(ALICE),
      { "x-authorization": `token ${ALICE}` },
      { cookie: `jupyterhub-user=${ALICE}` },
    ],
    secrets: [ALICE, EVE, GONE],
    logged: () => log.text(),
    upstream: {
      stall: () => hub.be(STALLED),
      fail: () => hub.be("its proxy, whose hub is away"),
      recover: () => hub.be(null),
    },
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
});

describeRedirectLogin("JupyterHub", async () => {
  const hub = await startHubServer();
  const log = createLogCapture();
  hub.users.set(ALICE, USER);
  let logins = 0;
  return {
    authenticator: authenticatorOf(hub.url, { patience: "1s" }),
    principal: PRINCIPAL,
    visit(location) {
      const { searchParams } = location;
      const code = `code-${String((logins += 1))}-that-nobody-could-guess`;
      hub.codes.set(code, { challenge: searchParams.get("code_challenge") ?? "", token: ALICE });
      const back = new URL(searchParams.get("redirect_uri") ?? "");
      back.search = new URLSearchParams({ code, state: searchParams.get("state") ?? "" }).toString();
      return Promise.resolve(back);
    },
    change: (groups) => void hub.users.set(ALICE, { ...USER, groups }),
    remove: () => void hub.users.delete(ALICE),
    secrets: [ALICE, "the-service"],
    logged: () => log.text(),
    upstream: {
      stall: () => hub.be(STALLED),
      fail: () => hub.be("its proxy, whose hub is away"),
      recover: () => hub.be(null),
    },
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
});

describe("tokens of a JupyterHub", () => {
  let hub: HubServer;
  beforeEach(async () => {
    hub = await startHubServer();
    hub.users.set(ALICE, USER);
  });
  afterEach(() => hub[Symbol.asyncDispose]());

  const never = new AbortController().signal;
  const head = (value: string) => makeHead({ host: "nb.localhost:7080", headers: authorization(value) });
  const whoIs = async (user: unknown, more: More = {}) => {
    hub.users.set(ALICE, user);
    return (await authenticatorOf(hub.url, more).authenticate(head(`token ${ALICE}`), never))?.principal;
  };

  test("speak under any of the three schemes, in any case, and under the hub's own whatever they look like", async () => {
    hub.users.set("a-service's-secret", { kind: "service", name: "minter", scopes: ["access:services"] });
    const authenticator = authenticatorOf(hub.url);
    for (const scheme of ["jupyterhub", "token", "bearer", "Bearer", "JUPYTERHUB"]) {
      expect((await authenticator.authenticate(head(`${scheme} ${ALICE}`), never))?.principal).toEqual(PRINCIPAL);
    }
    const service = await authenticator.authenticate(head("jupyterhub a-service's-secret"), never);
    expect(service?.principal).toMatchObject({ name: "service:minter", groups: [], admin: false });
  });

  test("are only those of the schemes that the config names", async () => {
    const authenticator = authenticatorOf(hub.url, { schemes: ["jupyterhub"] });
    expect(authenticator.recognises(head(`token ${ALICE}`))).toEqual([]);
    expect(await authenticator.authenticate(head(`token ${ALICE}`), never)).toBeNull();
    expect(authenticator.recognises(head(`jupyterhub ${ALICE}`))).toEqual(["authorization"]);
  });

  test("need a scope that opens the gate", async () => {
    for (const scopes of [[], ["access:services!service=other"], ["access:servers!user=alice"], undefined]) {
      await expect(whoIs({ ...USER, scopes })).rejects.toMatchObject({ code: "unauthenticated" });
    }
    expect(await whoIs({ ...USER, scopes: ["access:services"] })).toEqual(PRINCIPAL);
    expect(await whoIs({ ...USER, scopes: ["custom:gate"] }, { scopes: ["custom:gate"] })).toEqual(PRINCIPAL);
  });

  test("make the hub's administrators the gate's only where the config says so", async () => {
    expect(await whoIs({ ...USER, admin: true })).toMatchObject({ admin: false });
    expect(await whoIs({ ...USER, admin: true }, { admins: true })).toMatchObject({ admin: true });
    expect(await whoIs(USER, { admins: true })).toMatchObject({ admin: false });
  });

  test("name no user as a service is named", async () => {
    expect(await whoIs({ ...USER, name: "service:minter" })).toMatchObject({ name: "user:service:minter" });
  });

  test("say by which public name the hub knows them", async () => {
    const authenticator = authenticatorOf(hub.url);
    expect(await authenticator.authenticate(head(`token ${ALICE}`), never)).toMatchObject({ id: "hub-a3" });
    hub.users.set(ALICE, { ...USER, token_id: "../a3" });
    expect(await authenticator.authenticate(head(`token ${ALICE}`), never)).not.toHaveProperty("id");
  });

  test.each(Object.keys(ODDITIES))("are neither good nor bad where the answer is %s", async (how) => {
    hub.be(how);
    const asked = authenticatorOf(hub.url).authenticate(head(`token ${ALICE}`), never);
    await expect(asked).rejects.toMatchObject({ code: "unavailable" });
  });

  test("are neither good nor bad where the hub is slower than anybody waits", async () => {
    hub.be(STALLED);
    const authenticator = authenticatorOf(hub.url, { patience: "100ms" });
    await expect(authenticator.authenticate(head(`token ${ALICE}`), never)).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("are asked about once by all who come at the same time, and again when the answer is old", async () => {
    const clock = createManualClock(START);
    const credentials = createCredentials([authenticatorOf(hub.url, { cache: "3s" }, clock)], clock);
    const ask = () => credentials.authenticate(head(`token ${ALICE}`), never);
    await Promise.all([ask(), ask(), ask()]);
    clock.advance(2999);
    await ask();
    expect(hub.asked()).toBe(1);
    clock.advance(1);
    hub.users.delete(ALICE);
    await expect(ask()).rejects.toMatchObject({ code: "unauthenticated" });
    expect(hub.asked()).toBe(2);
  });
});

describe("a browser's login by a JupyterHub", () => {
  const BACK = { redirectUri: "http://taskgate.localhost:7080/back", state: "the-state" };
  const never = new AbortController().signal;
  let hub: HubServer;
  beforeEach(async () => {
    hub = await startHubServer();
    hub.users.set(ALICE, USER);
  });
  afterEach(() => hub[Symbol.asyncDispose]());

  const loginOf = (more: More = {}) =>
    authenticatorOf(hub.url, more).interactive as RedirectLogin & Required<Pick<RedirectLogin, "recheck">>;

  /** What the hub does once the person said yes. */
  async function confirmed(login: RedirectLogin) {
    const { location, keep } = await login.begin(BACK, never);
    hub.codes.set("the-code", { challenge: location.searchParams.get("code_challenge") ?? "", token: ALICE });
    const parameters = new URLSearchParams({ code: "the-code", state: "the-state" });
    return { ...BACK, location, parameters, keep };
  }

  test("goes to the hub's own page, with a challenge of which only the gate knows the answer", async () => {
    const { location, keep } = await loginOf().begin(BACK, never);
    const { verifier } = JSON.parse(keep) as { readonly verifier: string };
    expect(location.href.split("?")[0]).toBe(`${hub.url}/api/oauth2/authorize`);
    expect(Object.fromEntries(location.searchParams)).toEqual({
      ...{ response_type: "code", client_id: "service-taskgate", code_challenge_method: "S256" },
      ...{ redirect_uri: BACK.redirectUri, state: "the-state" },
      code_challenge: hash("sha256", verifier, "base64url"),
    });
    expect(location.href).not.toContain(verifier);
  });

  test("says who came back, and no longer than the hub's token is good", async () => {
    const login = loginOf();
    expect(await login.complete(await confirmed(login), never)).toEqual({
      ...{ principal: PRINCIPAL, lifetimeMs: 3_600_000 },
      ...{ recheckMs: 60_000, secret: JSON.stringify({ token: ALICE }) },
    });
  });

  test("is refused without the scope that opens the gate", async () => {
    hub.users.set(ALICE, { ...USER, scopes: [] });
    const login = loginOf();
    await expect(login.complete(await confirmed(login), never)).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("is unavailable while the hub is, and where the hub does not take the gate for its service", async () => {
    const login = loginOf();
    const back = await confirmed(login);
    hub.be("its proxy, whose hub is away");
    await expect(login.complete(back, never)).rejects.toMatchObject({ code: "unavailable" });
    hub.be(null);
    const stranger = loginOf({ clientSecretFile: guessFile });
    await expect(stranger.complete(await confirmed(stranger), never)).rejects.toMatchObject({ code: "unavailable" });
  });

  test("is not offered where the gate has no secret of a service", () => {
    const [config, clock] = [configOf(hub.url), createManualClock(START)];
    expect(createJupyterHub({ config, limit: createLoginLimit(clock), clock }).interactive).toBeUndefined();
  });
});
