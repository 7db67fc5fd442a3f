import { mkdtempSync, chmodSync, rmSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { switchUser } from "./switch-user.ts";
import { startWholeStand } from "./testing/local-stand.ts";

const isRoot = process.platform === "linux" && process.getuid?.() === 0;

test("nothing is switched for nobody in particular and for oneself", async () => {
  expect(await switchUser(undefined)).toEqual({ command: [], environment: {} });
  expect(await switchUser(userInfo().username)).toEqual({ command: [], environment: {} });
});

// Only root may run tasks as others; whoever else runs this suite sees that it is refused.
test(isRoot ? "refuses a user that the machine does not have" : "refuses other users, and says why", async () => {
  const refused = isRoot
    ? { code: "bad_request", message: 'This machine has no user "no-such-user".' }
    : { code: "denied", message: expect.stringContaining("only a gate that runs as root can") as string };
  await expect(switchUser("no-such-user")).rejects.toMatchObject(refused);
  await expect(switchUser("--help")).rejects.toMatchObject({ code: refused.code });
  await expect(switchUser("0")).rejects.toMatchObject({ code: refused.code });
});

test(
  isRoot
    ? "a task of another user has that user's groups and home, none of ours, and its log stays ours"
    : "a task of another user is refused (run as root on Linux to see it run)",
  async () => {
    await using stand = await startWholeStand();
    const directory = mkdtempSync(join(tmpdir(), "tg-user-"));
    chmodSync(directory, 0o755);
    const script = "id -un; id -G; echo $HOME $USER; echo err > /dev/stderr; echo secret: $SECRET; cat $0 2>&1";
    const environment = { PATH: process.env.PATH ?? "", SECRET: "of the caller" };
    const spec = { name: "theirs", user: "nobody", directory, environment };
    const running = stand.run(["sh", "-c", script, join(stand.home.tasks, "theirs", "spec.json")], spec);
    try {
      if (!isRoot) {
        await expect(running).rejects.toMatchObject({ code: "denied" });
        return;
      }
      await running;
      await stand.until("theirs", { state: "failed", reason: "exited with code 1" });
      const [user, groups, home, error, callers, secret] = await stand.logs("theirs");
      expect([user, error, callers]).toEqual(["nobody", "err", "secret:"]);
      expect(groups?.split(" ")).not.toContain("0");
      expect(home).toMatch(/nobody$/);
      expect(secret).toMatch(/Permission denied/);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  },
);
