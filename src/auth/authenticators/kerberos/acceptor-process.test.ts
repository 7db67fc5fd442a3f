import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { AcceptorProcess } from "./acceptor-process.ts";

const never = new AbortController().signal;

function start(patienceMs = 10_000) {
  const entry = new URL("testing/fake-acceptor.ts", import.meta.url);
  const acceptor = new AcceptorProcess({ entry, keytab: "/k", patienceMs, clock: systemClock, logger: silentLogger });
  onTestFinished(() => acceptor[Symbol.dispose]());
  return { acceptor, accept: (ticket: string, signal = never) => acceptor.accept("HTTP@gate", ticket, signal) };
}

test("is started with the first ticket, and serves the next ones", async () => {
  const { acceptor, accept } = start();
  expect(acceptor.pid).toBeUndefined();
  const verdicts = await Promise.all([accept("a"), accept("b")]);
  expect(verdicts).toEqual(verdicts.map(() => ({ kind: "accepted", client: String(acceptor.pid), answer: null })));
});

test("has the keytab to itself", async () => {
  expect(await start().accept("keytab")).toEqual({ kind: "refused", reason: "FILE:/k" });
  expect(process.env.KRB5_KTNAME).toBeUndefined();
});

test("is unavailable when it crashes, for all who wait, and started again for the next one", async () => {
  const { acceptor, accept } = start();
  await accept("a");
  const { pid } = acceptor;
  const waiting = [accept("crash"), accept("b")];
  for (const each of await Promise.allSettled(waiting)) {
    expect(each).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
  }
  expect(await accept("c")).toMatchObject({ kind: "accepted" });
  expect(acceptor.pid).not.toBe(pid);
});

test("is ended when it hangs, and started again for the next one", async () => {
  const { acceptor, accept } = start(1500);
  await accept("a");
  const { pid = 0 } = acceptor;
  await expect(accept("hang")).rejects.toMatchObject({ code: "unavailable" });
  expect(await accept("b")).toMatchObject({ kind: "accepted" });
  expect(acceptor.pid).not.toBe(pid);
});

test("lets one who leaves go", async () => {
  const { accept } = start();
  await accept("a");
  const leaving = new AbortController();
  const waiting = accept("b", leaving.signal);
  leaving.abort(new Error("gone"));
  await expect(waiting).rejects.toThrow("gone");
  expect(await accept("c")).toMatchObject({ kind: "accepted" });
});
