import { hash } from "bcrypt";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { BasicMethod } from "../../config/basic-method.ts";
import { systemClock } from "../../platform/clock.ts";
import { createLoginLimit } from "../login-limit.ts";
import { createPasswordChecks } from "../passwords/password-checks.ts";
import { hashPassword, matchesPassword } from "../../platform/password-hash.ts";
import { createLogCapture } from "../testing/auth-kit.ts";
import { makeHead } from "../testing/browser.ts";
import type { Ended } from "./authenticator.ts";
import { describeAuthenticator, type Headers } from "./authenticator.contract.ts";
import { startBasic } from "./basic.ts";

vi.mock("../../platform/password-hash.ts", { spy: true });

const basic = (user: string, password: string): Headers => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
});
const raw = (text: string | Buffer): Headers => ({ authorization: `Basic ${Buffer.from(text).toString("base64")}` });

const USERS = [
  `alice:${(await hash("correct horse", 4)).replace("$2b$", "$2y$")}`,
  `bob:${await hashPassword("battery staple")}`,
  `josé:${await hash("pässwörd", 4)}`,
  `old:${await hash("yesterday", 4)}`,
];
const DEADLINE = { timeout: 5000 };

async function set(options: { readonly shared?: string; readonly users?: readonly string[] } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-passwords-"));
  const files = { passwords: join(folder, "htpasswd"), groups: join(folder, "groups"), shared: join(folder, "shared") };
  const write = (users: readonly string[]) => writeFile(files.passwords, `# people\n\n${users.join("\n")}\n`);
  await write(options.users ?? USERS);
  await writeFile(files.groups, "ml: alice bob\nops: alice\n");
  await writeFile(files.shared, `${options.shared ?? ""}\n`);
  const source =
    options.shared === undefined ? { passwordFile: files.passwords } : { sharedPasswordFile: files.shared };
  const log = createLogCapture();
  const checks = createPasswordChecks();
  const authenticator = await startBasic({
    method: BasicMethod.parse({ type: "basic", name: "corp", groupsFile: files.groups, ...source }),
    ...{ checks, limit: createLoginLimit(systemClock), clock: systemClock, logger: log.logger },
  });
  const ended: Ended[] = [];
  authenticator.observe?.((each) => ended.push(each));
  let peers = 0;
  return {
    ...{ authenticator, checks, log, files, write, ended },
    /** Each from an address of its own, so that no limit stands in the way. */
    ask: (headers: Headers, peer = `10.0.${String((peers += 1) >> 8)}.${String(peers & 255)}`) =>
      authenticator.authenticate(
        makeHead({ host: "nb.localhost", peer, headers }),
        AbortSignal.timeout(DEADLINE.timeout),
      ),
    async [Symbol.asyncDispose]() {
      await authenticator[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

const group = (name: string) => ({ realm: "corp", name });

describeAuthenticator("basic", async () => {
  const kit = await set();
  await kit.write(USERS.slice(0, 3));
  await vi.waitFor(() => expect(kit.ended).not.toEqual([]), DEADLINE);
  const wedges: (() => void)[] = [];
  const wedge = (count: number): void => {
    for (let one = 0; one < count; one += 1) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      wedges.push(() => resolve(undefined));
      kit.checks.run(() => promise, new AbortController().signal).catch(() => undefined);
    }
  };
  return {
    authenticator: kit.authenticator,
    principal: { realm: "corp", name: "alice", groups: [group("ml"), group("ops")], admin: false },
    right: basic("alice", "correct horse"),
    wrong: basic("alice", "correct horsf"),
    expired: basic("old", "yesterday"),
    malformed: {
      "no such user": basic("mallory", "correct horse"),
      "no user": basic("", "correct horse"),
      "no password": basic("alice", ""),
      "no colon": raw("alice"),
      "the scheme alone": { authorization: "Basic" },
      "not base64": { authorization: "Basic !!!" },
      "not UTF-8": raw(Buffer.from([0x61, 0xff, 0x3a, 0x62])),
      "two of them": { authorization: `${String(basic("alice", "x").authorization)}, Basic eDp5` },
      "an endless password": basic("alice", "x".repeat(5000)),
      "the own header": { "x-taskgate-authorization": String(basic("alice", "wrong").authorization) },
    },
    foreign: [{ authorization: "Bearer tg_abc" }, { authorization: "Negotiate YII=" }, { authorization: "" }],
    secrets: ["correct horse", "yesterday", "Y29ycmVjdCBob3JzZ", "$2y$", "$2b$"],
    logged: () => kit.log.text(),
    upstream: {
      stall: () => wedge(2),
      fail: () => wedge(102),
      async recover() {
        for (const release of wedges) release();
        await new Promise((resolve) => setImmediate(resolve));
      },
    },
    [Symbol.asyncDispose]: () => kit[Symbol.asyncDispose](),
  };
});

describe("basic", () => {
  test("takes bcrypt, as htpasswd writes it, and scrypt, with any letters", async () => {
    await using kit = await set();
    expect((await kit.ask(basic("bob", "battery staple")))?.principal.name).toBe("bob");
    expect((await kit.ask(basic("josé", "pässwörd")))?.principal.name).toBe("josé");
    await expect(kit.ask(basic("bob", "battery stapler"))).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("goes by the file as it is now: who is new comes in, whose password changed or who is gone does not", async () => {
    await using kit = await set();
    const before = await kit.ask(basic("alice", "correct horse"));
    await kit.write([`alice:${await hash("new one", 4)}`, `carol:${await hash("carol's", 4)}`]);
    await vi.waitFor(() => kit.ask(basic("carol", "carol's")), DEADLINE);
    await expect(kit.ask(basic("alice", "correct horse"))).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(kit.ask(basic("bob", "battery staple"))).rejects.toMatchObject({ code: "unauthenticated" });
    expect(kit.ended.map((each) => each.subject)).toEqual(["alice", "bob", "josé", "old"]);
    expect(kit.ended[0]?.id).toBe(before?.id);
    expect((await kit.ask(basic("alice", "new one")))?.id).not.toBe(before?.id);
  });

  test("does not take a broken file: the last good one counts, and the log says which line and what to do", async () => {
    await using kit = await set();
    await writeFile(kit.files.passwords, "bob:$2y$05$abc\ncarol:$apr1$x$y\n");
    await vi.waitFor(() => expect(kit.log.text()).toContain("line 1 (bob): no well-formed bcrypt hash"), DEADLINE);
    expect(kit.log.text()).toContain("taskgate password");
    expect((await kit.ask(basic("alice", "correct horse")))?.principal.name).toBe("alice");
    await rm(kit.files.passwords);
    await vi.waitFor(() => expect(kit.log.text()).toContain("is not there"), DEADLINE);
    expect((await kit.ask(basic("alice", "correct horse")))?.principal.name).toBe("alice");
    await kit.write(USERS.slice(1));
    await vi.waitFor(() => expect(kit.log.text()).toContain("file is good again"), DEADLINE);
    await expect(kit.ask(basic("alice", "correct horse"))).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("refuses the sixth wrong password with 429 unlooked, and nobody else's", async () => {
    await using kit = await set();
    for (let times = 0; times < 5; times += 1) {
      await expect(kit.ask(basic("alice", "wrong"), "192.0.2.7")).rejects.toMatchObject({ code: "unauthenticated" });
    }
    await expect(kit.ask(basic("alice", "correct horse"), "192.0.2.7")).rejects.toMatchObject({ code: "rate_limited" });
    expect(await kit.ask(basic("alice", "correct horse"), "192.0.2.8")).not.toBeNull();
    expect(await kit.ask(basic("bob", "battery staple"), "192.0.2.7")).not.toBeNull();
  });

  test("does the same for who is not there as for who is", async () => {
    await using kit = await set({ users: [`alice:${await hash("correct horse", 4)}`] });
    const compared = async (user: string) => {
      vi.mocked(matchesPassword).mockClear();
      await expect(kit.ask(basic(user, "wrong"))).rejects.toMatchObject({ code: "unauthenticated" });
      return vi.mocked(matchesPassword).mock.calls;
    };
    const known = await compared("alice");
    expect(known).toEqual([["wrong", expect.objectContaining({ kind: "bcrypt" })]]);
    expect(await compared("mallory")).toEqual(known);
  });

  test("leaves the event loop free while it hashes", async () => {
    await using kit = await set({ users: [`alice:${await hash("correct horse", 11)}`] });
    let turns = 0;
    const turning = setInterval(() => (turns += 1), 1);
    await Promise.all(Array.from({ length: 4 }, () => kit.ask(basic("alice", "wrong")).catch(() => undefined)));
    clearInterval(turning);
    expect(turns).toBeGreaterThan(20);
  });

  test("logs in by the form, until the password changes", async () => {
    await using kit = await set();
    const { interactive } = kit.authenticator;
    if (interactive?.kind !== "password") throw new Error("expected a login by password");
    const given = { user: "alice", password: "correct horse", peer: "192.0.2.7" };
    const found = await interactive.verify(given, AbortSignal.timeout(5000));
    expect(found).toMatchObject({ principal: { name: "alice" }, upstream: { subject: "alice" } });
    expect(found.secret).not.toMatch(/correct horse|\$2/);
    const again = () => interactive.recheck?.(found.secret ?? "", AbortSignal.timeout(5000));
    await writeFile(kit.files.groups, "new: alice\n");
    await vi.waitFor(async () => expect((await again())?.principal.groups).toEqual([group("new")]), DEADLINE);
    await kit.write(USERS.slice(1));
    await vi.waitFor(() => expect(again()).rejects.toMatchObject({ code: "unauthenticated" }), DEADLINE);
    await expect(interactive.verify(given, AbortSignal.timeout(5000))).rejects.toMatchObject({
      code: "unauthenticated",
    });
  });

  test("has one password for everybody where that is configured, whatever they call themselves", async () => {
    await using kit = await set({ shared: "open sesame" });
    expect((await kit.ask(basic("alice", "open sesame")))?.principal).toMatchObject({
      name: "alice",
      groups: [{}, {}],
    });
    expect((await kit.ask(basic("anybody", "open sesame")))?.principal).toMatchObject({ name: "anybody", groups: [] });
    await expect(kit.ask(basic("", "open sesame"))).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(kit.ask(basic("alice", "open sesam"))).rejects.toMatchObject({ code: "unauthenticated" });
    await writeFile(kit.files.shared, "close sesame\n");
    await vi.waitFor(() => kit.ask(basic("alice", "close sesame")), DEADLINE);
    await expect(kit.ask(basic("alice", "open sesame"))).rejects.toMatchObject({ code: "unauthenticated" });
    expect(kit.ended).toMatchObject([{ subject: null }]);
  });

  test("does not start with a file that is broken, and says where", async () => {
    await expect(set({ users: ["alice:plaintext-password"] })).rejects.toMatchObject({
      ...{ code: "bad_request", message: /htpasswd: line 3 \(alice\): no hash that is known here.*taskgate password/ },
    });
    await expect(set({ shared: "short" })).rejects.toMatchObject({ message: /at least 8 characters/ });
  });
});
