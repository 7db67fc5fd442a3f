import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createManualClock, type ManualClock } from "../store/testing/manual-clock.ts";
import type { Store } from "../store/store.ts";
import type { GrantedTask, Recipient } from "./granted.ts";
import { type Grants, startGrants } from "./grants.ts";
import { createLogCapture, OWNER, START, startTestStore } from "./testing/auth-kit.ts";

const OLGA = { realm: OWNER.realm, name: OWNER.name };
const ALICE = { realm: "corp", name: "alice" };
const NB: GrantedTask = { key: "local/nb", instance: "1", owner: OLGA };
const HOUR = 3_600_000;

let clock: ManualClock;
let store: Store;
let grants: Grants;
let revoked: string[];
let log: ReturnType<typeof createLogCapture>;

async function start(): Promise<Grants> {
  const revoke = (id: string): Promise<void> => {
    revoked.push(id);
    return Promise.resolve();
  };
  return startGrants({ store, clock, logger: log.logger, revocations: { revoke } });
}

beforeEach(async () => {
  clock = createManualClock(START);
  log = createLogCapture();
  store = await startTestStore(clock, log.logger);
  revoked = [];
  grants = await start();
});
afterEach(async () => {
  grants[Symbol.dispose]();
  await store[Symbol.asyncDispose]();
});

const give = (to: Recipient, until: number | null = null, service: string | null = null, task = NB) =>
  grants.give(task, { to, until, service }, OWNER);

describe("what was given", () => {
  test("is told with who gave it, when, and until when, and is there after a restart", async () => {
    const { grant } = await give(ALICE, START + HOUR, "web");
    expect(grant).toEqual({
      ...{ id: expect.stringMatching(/^g-[a-z2-7]{12}$/) as string, service: "web", to: ALICE },
      ...{ until: START + HOUR, by: OLGA, createdAt: START },
    });
    expect(grants.of(NB)).toEqual([grant]);
    using again = await start();
    expect(again.of(NB)).toEqual([grant]);
    expect(again.openings("local/nb")).toEqual(grants.openings("local/nb"));
  });

  test("reaches the core with its task, and as openness where it is for everybody", async () => {
    await give({ group: ALICE }, START + HOUR);
    await give({ anyone: "authenticated" }, null, "web");
    const task = { instance: "1", owner: OLGA };
    expect(grants.openings("local/nb")).toEqual([
      { task, service: null, access: { grants: [{ to: { group: ALICE }, until: START + HOUR, by: OLGA }], anyone: "nobody" } }, // prettier-ignore
      { task, service: "web", access: { grants: [], anyone: "authenticated" } },
    ]);
  });

  test("to the same again changes its end and nothing else, however many ask at once", async () => {
    const all = await Promise.all([1, 2, 3].map((hours) => give(ALICE, START + hours * HOUR)));
    expect(new Set(all.map(({ grant }) => grant.id)).size).toBe(1);
    expect(grants.of(NB)).toHaveLength(1);
    expect(grants.of(NB)[0]?.until).toBe(START + 3 * HOUR);
    await give(ALICE, null, "web");
    expect(grants.of(NB)).toHaveLength(2);
  });

  test("is gone at its end by itself, and whoever watches hears of it", async () => {
    const heard: string[] = [];
    await give({ anyone: "public" }, START + HOUR);
    grants.observe((key) => heard.push(key));
    clock.advance(HOUR);
    expect(grants.of(NB)).toEqual([]);
    expect(grants.openings("local/nb")).toEqual([]);
    await expect.poll(() => heard).toEqual(["local/nb"]);
    expect([...grants.tasks()]).toEqual([]);
  });

  test("is taken back by id, and not by the id of another task's", async () => {
    const { grant } = await give(ALICE);
    const other = await give(ALICE, null, null, { ...NB, key: "local/tb" });
    expect(await grants.take(NB, [grant.id, other.grant.id, "g-none"], OWNER)).toEqual([grant]);
    expect(grants.of(NB)).toEqual([]);
    expect(grants.of({ ...NB, key: "local/tb" })).toHaveLength(1);
    expect(await grants.take(NB, [grant.id], OWNER)).toEqual([]);
  });

  test("is for that very task, and not for a later one of its name or another owner's", async () => {
    await give(ALICE);
    for (const later of [{ instance: "2" }, { instance: undefined }, { owner: ALICE }, { owner: null }]) {
      expect(grants.of({ ...NB, ...later })).toEqual([]);
      expect(await grants.history({ ...NB, ...later })).toEqual([]);
    }
  });

  test("goes with its task, links and history too, and nothing of others goes along", async () => {
    await give(ALICE);
    const link = await give({ link: true });
    const later = { ...NB, instance: "2" };
    const kept = await give(ALICE, null, null, later);
    await grants.prune("local/nb", later);
    expect(grants.of(NB)).toEqual([]);
    expect(grants.of(later)).toEqual([kept.grant]);
    expect(revoked).toEqual([link.grant.id]);
    await grants.prune("local/nb", null);
    expect((await store.list("grants")).size + (await store.list("grant-history")).size).toBe(0);
  });

  test("is bounded for each task", async () => {
    for (let at = 0; at < 200; at++) await give({ realm: "corp", name: `user-${String(at)}` });
    await expect(give(ALICE)).rejects.toMatchObject({ code: "conflict" });
    await expect(give({ realm: "corp", name: "user-7" }, START + HOUR)).resolves.toBeDefined();
  });
});

describe("a link", () => {
  test("is shown once, and a hash of it is kept", async () => {
    const { grant, link = "" } = await give({ link: true });
    expect(link).toMatch(new RegExp(`^${grant.id}_[A-Za-z0-9_-]{43}$`));
    const secret = link.slice(15);
    expect(JSON.stringify([grants.of(NB), grants.openings("local/nb"), await grants.history(NB)])).not.toContain(
      secret,
    );
    expect(JSON.stringify([...(await store.list("grants"))])).not.toContain(secret);
    expect(log.text()).not.toContain(secret);
  });

  test("is never the same as another, and ends what came by it when it is taken back", async () => {
    const [one, other] = [await give({ link: true }), await give({ link: true })];
    expect(one.link).not.toBe(other.link);
    await grants.take(NB, [one.grant.id], OWNER);
    expect(revoked).toEqual([one.grant.id]);
    expect(grants.link(one.grant.id)).toBeUndefined();
    expect(grants.link(other.grant.id)?.taskKey).toBe("local/nb");
  });
});

describe("the history", () => {
  test("says who changed what and when, newest first, over restarts", async () => {
    const { grant } = await give(ALICE);
    clock.advance(1);
    await give(ALICE, START + HOUR);
    clock.advance(1);
    await grants.take(NB, [grant.id], { ...ALICE, groups: [], admin: true } as typeof ALICE);
    using again = await start();
    expect(await again.history(NB)).toEqual([
      { at: START + 2, by: ALICE, did: "took", grant: { ...grant, until: START + HOUR } },
      { at: START + 1, by: OLGA, did: "changed", grant: { ...grant, until: START + HOUR } },
      { at: START, by: OLGA, did: "gave", grant },
    ]);
  });

  test("keeps the last hundred", async () => {
    for (let at = 1; at <= 110; at++) await give(ALICE, START + HOUR + at);
    const history = await grants.history(NB);
    expect(history).toHaveLength(100);
    expect(history[0]?.grant.until).toBe(START + HOUR + 110);
  });
});
