import { afterEach, beforeEach, expect, test } from "vitest";
import type { Caller } from "./login.ts";
import { type AuthKit, bearer, OWNER, PLAIN, startAuthKit } from "./testing/auth-kit.ts";

const CLI = "192.0.2.1";
const BROWSER = "192.0.2.2";
const never = new AbortController().signal;

let kit: AuthKit;
beforeEach(async () => {
  kit = await startAuthKit();
});
afterEach(() => kit[Symbol.asyncDispose]());

const begin = () => kit.auth.devices.begin("olga@laptop", CLI);
const poll = (deviceCode: string) => kit.auth.devices.poll(deviceCode, CLI);
const who = (token: string): Promise<Caller> => kit.auth.authenticate(bearer(PLAIN, token), never);
const answer = async (userCode: string, approve: boolean) => {
  const { token } = await kit.login();
  await kit.auth.devices.answer(userCode, { approve, caller: await who(token) }, BROWSER);
  return token;
};

test("a command line is in once somebody said yes to its code, and fetches its token once", async () => {
  const device = await begin();
  expect(device.userCode).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
  expect(device.pageWithCode).toBe(`http://taskgate.localhost:7080/.taskgate/device#${device.userCode}`);
  expect(await poll(device.deviceCode)).toEqual({ state: "pending", intervalS: 5, tooSoon: false });
  const { userCode } = device;
  expect(await kit.auth.devices.show(userCode.toLowerCase().replace("-", " "), BROWSER)).toMatchObject({
    ...{ client: "olga@laptop", peer: CLI },
  });
  await answer(userCode, true);
  const approved = await poll(device.deviceCode);
  if (approved.state !== "approved") throw new Error("expected to be in");
  expect(await who(approved.token)).toMatchObject({ realm: OWNER.realm, name: OWNER.name });
  await expect(poll(device.deviceCode)).rejects.toMatchObject({ code: "unauthenticated" });
  await expect(kit.auth.devices.show(userCode, BROWSER)).rejects.toMatchObject({ code: "not_found" });
});

test("no is no, and answered once", async () => {
  const { deviceCode, userCode } = await begin();
  await answer(userCode, false);
  await expect(answer(userCode, true)).rejects.toMatchObject({ code: "not_found" });
  await expect(poll(deviceCode)).rejects.toMatchObject({ code: "denied" });
});

test("who asks too often has to wait for longer each time (RFC 8628 section 3.5)", async () => {
  const { deviceCode } = await begin();
  await poll(deviceCode);
  kit.clock.advance(4999);
  expect(await poll(deviceCode)).toEqual({ state: "pending", intervalS: 10, tooSoon: true });
  kit.clock.advance(10_000);
  expect(await poll(deviceCode)).toEqual({ state: "pending", intervalS: 10, tooSoon: false });
});

test("codes are good for ten minutes", async () => {
  const { deviceCode, userCode } = await begin();
  kit.clock.advance(600_000);
  await expect(poll(deviceCode)).rejects.toMatchObject({ code: "unauthenticated" });
  await expect(answer(userCode, true)).rejects.toMatchObject({ code: "not_found" });
});

test("a code cannot be guessed: wrong ones are few, and counted", async () => {
  const { userCode } = await begin();
  const tries = Array.from({ length: 25 }, () =>
    kit.auth.devices.show("BBBB-BBBB", BROWSER).catch((error: unknown) => error),
  );
  const codes = (await Promise.all(tries)).map((error) => (error as { code: string }).code);
  expect(codes).toContain("rate_limited");
  await expect(kit.auth.devices.show(userCode, BROWSER)).rejects.toMatchObject({ code: "rate_limited" });
});

test("there are so many beginnings within a minute", async () => {
  for (let count = 0; count < 20; count++) await begin();
  await expect(begin()).rejects.toMatchObject({ code: "rate_limited" });
});

test("who has a token of a part of what they may lets no command line in, nor one whose login has ended", async () => {
  const { userCode, deviceCode } = await begin();
  const scope = { actions: ["connect"], services: ["local/*/*"] } as const;
  const { token } = await kit.auth.tokens.issue({ name: "ci", principal: { ...OWNER, scope } });
  const scoped = { approve: true, caller: await who(token) };
  await expect(kit.auth.devices.answer(userCode, scoped, BROWSER)).rejects.toMatchObject({ code: "denied" });
  const login = await answer(userCode, true);
  await kit.auth.login.logout(bearer(PLAIN, login));
  await expect(poll(deviceCode)).rejects.toMatchObject({ code: "denied" });
});

test("nothing that opens anything is kept as it is", async () => {
  const { deviceCode, userCode } = await begin();
  const kept = await Promise.all(
    ["device-logins", "device-codes"].map(async (kind) => [...(await kit.store.list(kind))]),
  );
  for (const secret of [deviceCode, userCode, userCode.replace("-", "")])
    expect(JSON.stringify(kept)).not.toContain(secret);
});
