import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startBrowser } from "./support/browser.ts";
import { enter } from "./support/enter.ts";
import { type Answer, ROOT, startTestGate, type TestGate } from "./support/gate.ts";
import { cookieOf } from "./support/hostile.ts";

/** Of a session; it is renewed from half of it on. */
const LIFE_MS = 4000;
const SINCE_MS = LIFE_MS / 2;
const HOST = "job.localhost";
const XHR = { accept: "application/json", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" };

describe.each([
  ["in the gate's process", 0],
  ["in workers", 2],
])("a session of four seconds, with the plane %s", (_where, workers) => {
  let folder: string;
  let gate: TestGate;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "tg-renewal-"));
    const config = join(folder, "config.yaml");
    writeFileSync(config, JSON.stringify({ workers, login: { session: `${String(LIFE_MS)}ms` } }));
    gate = await startTestGate({ config });
    const services = ["web=http", "api=grpc", "raw=tcp"].flatMap((service) => ["--service", service]);
    await gate.json("run", "--name", "job", ...services, "--", process.execPath, join(ROOT, "test", "support", "endless.mjs")); // prettier-ignore
  });
  afterAll(async () => {
    await gate[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const asked = (cookie: string): Promise<Answer> =>
    gate.ask(HOST, "/", { anonymous: true, headers: { ...XHR, cookie } });

  test("is renewed by many requests of one browser at once: each is answered, and it stays one session", async () => {
    const first = await enter(gate, HOST);
    const begun = Date.now();
    await sleep(SINCE_MS + 200);
    const answers = await Promise.all(Array.from({ length: 60 }, () => asked(first)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const renewed = new Set(answers.map((answer) => cookieOf(answer, "session")).filter((cookie) => cookie !== ""));
    expect(renewed.size).toBeGreaterThan(0);
    for (const cookie of renewed) expect(idOf(cookie)).toBe(idOf(first));

    // The browser kept one of them, whichever came last: any goes on when the first has ended.
    await sleep(begun + LIFE_MS + 300 - Date.now());
    expect((await asked(first)).status).toBe(401);
    const after = await Promise.all([...renewed].map(asked));
    expect(after.map(({ status }) => status)).toEqual(after.map(() => 200));
    const ids = (await gate.json<{ id: string; host: string }[]>("sessions", "list")).map(({ id }) => id);
    expect(ids.filter((id) => id === idOf(first))).toHaveLength(1);
  });

  test("goes on for a page that is open for longer, by what it fetches, and so does its WebSocket, until its login ends", async () => {
    const browser = await startBrowser();
    try {
      const page = await browser.newPage();
      const { url } = await gate.json<{ url: string }>("open", "--print");
      await page.goto(url);
      await page.getByRole("article").first().waitFor(); // by then it has the login
      await page.goto(`http://${HOST}:${String(gate.file().port)}/`);
      await page.getByText("whole").waitFor({ timeout: 10_000 });
      const seen = await page.evaluate(stay, { forMs: 3 * LIFE_MS, everyMs: 900 });
      expect(new Set(seen.statuses)).toEqual(new Set([200]));
      expect(seen.statuses.length).toBeGreaterThan(8);
      expect([seen.open, seen.late]).toEqual([true, true]);

      await gate.cli("sessions", "end", ...(await gate.json<{ id: string }[]>("sessions", "list")).map(({ id }) => id));
      const after = await page.evaluate(stay, { forMs: 1000, everyMs: 900 });
      expect(after.statuses.at(-1)).toBe(401);
      expect(after.open).toBe(false);
    } finally {
      await browser.close();
    }
  });
});

function idOf(cookie: string): string {
  const claims = cookie.slice(cookie.indexOf("=") + 1).split(".")[1] ?? "";
  return (JSON.parse(Buffer.from(claims, "base64url").toString()) as { sid: string }).sid;
}

/** In the page: fetches every now and then, beside one WebSocket for all its time. `late`: something came by that in the last second. */
async function stay({ forMs, everyMs }: { forMs: number; everyMs: number }) {
  const kept = globalThis as unknown as { socket?: WebSocket; last: number };
  if (kept.socket === undefined) {
    kept.socket = new WebSocket("/");
    kept.socket.onmessage = () => (kept.last = performance.now());
  }
  const statuses: number[] = [];
  for (const end = performance.now() + forMs; performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, everyMs));
    statuses.push((await fetch("/data", { method: statuses.length % 2 === 0 ? "GET" : "POST" })).status);
  }
  return { statuses, open: kept.socket.readyState === 1, late: performance.now() - kept.last < 1000 };
}
