import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { OWNER, startAuthKit } from "../auth/testing/auth-kit.ts";
import { homeAt } from "../config/home.ts";
import { silentLogger } from "../platform/logger.ts";
import { keepOwnerToken } from "./owner-token.ts";

const DAY = 86_400_000;

async function stand(isPassing: boolean) {
  const kit = await startAuthKit();
  onTestFinished(() => kit[Symbol.asyncDispose]());
  const { auth, clock } = kit;
  const folder = mkdtempSync(join(tmpdir(), "taskgate-owner-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const home = homeAt({ TASKGATE_HOME: folder });
  const ids = async (): Promise<readonly string[]> => (await auth.tokens.list(OWNER)).map(({ id }) => id);
  const inFile = (): string => readFileSync(home.token, "utf8").split("_")[1]!;
  const keep = () => keepOwnerToken({ home, auth, owner: OWNER, clock, logger: silentLogger, isPassing });
  return { clock, auth, ids, inFile, keep };
}

test("a state folder that stays keeps its one token from start to start", async () => {
  const { keep, ids, inFile, auth } = await stand(false);
  await keep();
  const token = inFile();
  await keep();
  expect(inFile()).toBe(token);
  expect(await ids()).toEqual([token]);
  expect(await auth.tokens.list(OWNER)).toMatchObject([{ expiresAt: null }]);
});

test("one that passes has a token for two days, which is renewed each day and gone in the end", async () => {
  const { keep, ids, inFile, auth, clock } = await stand(true);
  const kept = await keep();
  const first = inFile();
  const [view] = await auth.tokens.list(OWNER);
  expect(view!.expiresAt! - view!.createdAt).toBe(2 * DAY);
  clock.advance(DAY);
  await vi.waitFor(async () => expect(await ids()).not.toContain(first));
  expect(await ids()).toEqual([inFile()]);
  await kept[Symbol.asyncDispose]();
  expect(await ids()).toEqual([]);
});

test("what a killed gate left in such a folder is revoked by the next one there", async () => {
  const { keep, ids, inFile } = await stand(true);
  await keep();
  const first = inFile();
  await keep();
  expect(inFile()).not.toBe(first);
  expect(await ids()).toEqual([inFile()]);
});
