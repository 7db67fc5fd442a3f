import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { TrustedHeaderMethod } from "../../config/trusted-header-method.ts";
import { systemClock } from "../../platform/clock.ts";
import { createLogCapture } from "../testing/auth-kit.ts";
import { makeHead } from "../testing/browser.ts";
import { describeAuthenticator, type Headers } from "./authenticator.contract.ts";
import { reservedBy } from "./credential-forms.ts";
import { startTrustedHeader } from "./trusted-header.ts";

const [OLD, NEW] = ["old-secret-of-the-proxy", "new-secret-of-the-proxy"];

async function set(more: Record<string, unknown> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-proxy-"));
  const file = join(folder, "secret");
  await writeFile(file, `${OLD}\n`);
  const log = createLogCapture();
  const method = TrustedHeaderMethod.parse({
    ...{ type: "trusted-header", name: "corp", from: ["127.0.0.1", "10.0.0.0/8"], groups: "X-Forwarded-Groups" },
    ...{ secret: { file }, ...more },
  });
  const authenticator = await startTrustedHeader({ method, clock: systemClock, logger: log.logger });
  return {
    ...{ authenticator, log, file },
    from: (peer: string, headers: Headers) =>
      authenticator.authenticate(makeHead({ host: "nb.localhost", peer, headers }), new AbortController().signal),
    async [Symbol.asyncDispose]() {
      await authenticator[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

const alice = (secret: string, more: Headers = {}): Headers => ({
  ...{ "x-forwarded-user": "alice", "x-forwarded-groups": "ml, ops", "x-proxy-secret": secret },
  ...more,
});
const group = (name: string) => ({ realm: "corp", name });

describeAuthenticator("trusted-header", async () => {
  const kit = await set();
  await writeFile(kit.file, NEW);
  await vi.waitFor(() => kit.from("127.0.0.1", alice(NEW)), { timeout: 5000 });
  return {
    authenticator: kit.authenticator,
    principal: { realm: "corp", name: "alice", groups: [group("ml"), group("ops")], admin: false },
    right: alice(NEW),
    wrong: alice("some-other-secret-1234"),
    expired: alice(OLD),
    malformed: {
      "no secret": { "x-forwarded-user": "alice" },
      "two users": alice(NEW, { "x-forwarded-user": "mallory, alice" }),
      "no user's name": alice(NEW, { "x-forwarded-user": " " }),
      "not UTF-8": alice(NEW, { "x-forwarded-user": "jos\u00e9" }),
      "control characters": alice(NEW, { "x-forwarded-user": "a\u00e2\u0080\u00aeb" }),
      "groups that are no names": alice(NEW, { "x-forwarded-groups": "ml,\u0001" }),
    },
    foreign: [{ authorization: "Basic eDp5" }, { "x-proxy-secret": NEW }, { "x-forwarded-groups": "ml" }],
    secrets: [OLD, NEW],
    logged: () => kit.log.text(),
    upstream: null,
    [Symbol.asyncDispose]: () => kit[Symbol.asyncDispose](),
  };
});

describe("trusted-header", () => {
  test("takes nobody's word but the proxy's, says so once a minute, and lets no job see it", async () => {
    await using kit = await set();
    const strangers = ["192.0.2.7", "11.0.0.1", "::1", "unknown", "", "10.0.0.1, 192.0.2.7"];
    for (const peer of strangers) {
      for (let times = 0; times < 3; times += 1) expect(await kit.from(peer, alice(OLD)), peer).toBeNull();
      const head = makeHead({ host: "nb.localhost", peer, headers: { ...alice(OLD), x_forwarded_user: "alice" } });
      expect(kit.authenticator.recognises(head)).toEqual([]);
      expect([...reservedBy(kit.authenticator.forms, head)].toSorted()).toEqual([
        ...["x-forwarded-groups", "x-forwarded-user", "x-proxy-secret", "x_forwarded_user"],
      ]);
    }
    expect(kit.log.text().match(/identity header ignored/g)).toHaveLength(strangers.length);
    expect(await kit.from("10.200.0.1", alice(OLD))).toMatchObject({ principal: { name: "alice" } });
    expect(await kit.from("::ffff:10.200.0.1", alice(OLD))).toMatchObject({ principal: { name: "alice" } });
  });

  test("does not go by X-Forwarded-For", async () => {
    await using kit = await set();
    const headers = alice(OLD, {
      "x-forwarded-for": "127.0.0.1",
      forwarded: "for=127.0.0.1",
      "x-real-ip": "127.0.0.1",
    });
    expect(await kit.from("192.0.2.7", headers)).toBeNull();
  });

  test("goes by the front's address, where a front asks for somebody, and not by the visitor's", async () => {
    await using kit = await set();
    const by = (peer: string, front: string) =>
      kit.authenticator.authenticate(
        { ...makeHead({ host: "nb.localhost", peer, headers: alice(OLD) }), front },
        new AbortController().signal,
      );
    expect(await by("192.0.2.7", "10.200.0.1")).toMatchObject({ principal: { name: "alice" } });
    expect(await by("10.200.0.1", "192.0.2.1")).toBeNull();
  });

  test("reads names as UTF-8", async () => {
    await using kit = await set();
    const name = Buffer.from("josé", "utf8").toString("latin1");
    const found = await kit.from("127.0.0.1", alice(OLD, { "x-forwarded-user": name }));
    expect(found?.principal.name).toBe("josé");
  });

  test("needs no secret where none is configured, and knows no groups without their header", async () => {
    await using kit = await set({ secret: undefined, groups: undefined, user: "X-Corp-User" });
    const found = await kit.from("127.0.0.1", { "x-corp-user": "alice", "x-forwarded-groups": "ml" });
    expect(found?.principal).toEqual({ realm: "corp", name: "alice", groups: [], admin: false });
  });

  test("logs a browser in on the gate's page where the proxy says who it is, and nowhere else", async () => {
    await using kit = await set();
    const { interactive } = kit.authenticator;
    if (interactive?.kind !== "header") throw new Error("expected a login by headers");
    const verify = (peer: string) =>
      interactive.verify(
        makeHead({ host: "taskgate.localhost", peer, headers: alice(OLD) }),
        AbortSignal.timeout(1000),
      );
    expect(await verify("127.0.0.1")).toMatchObject({ principal: { name: "alice" }, lifetimeMs: 3_600_000 });
    await expect(verify("192.0.2.7")).rejects.toMatchObject({ code: "unauthenticated" });
  });

  test("does not start with a secret that is none", async () => {
    await expect(set({ secret: { file: "/nowhere/secret" } })).rejects.toMatchObject({
      code: "bad_request",
      message: /nowhere/,
    });
  });
});

test.each(["Cookie", "Host", "Authorization", "X-Taskgate-User", "X-Forwarded-For", "Sec-Fetch-Site", "a b"])(
  "%s is no header for a user's name",
  (user) => {
    const method = { type: "trusted-header", name: "corp", from: ["10.0.0.1"], user };
    expect(TrustedHeaderMethod.safeParse(method).success).toBe(false);
  },
);
