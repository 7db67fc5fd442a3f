import { expect, test } from "vitest";
import { pause } from "./pause.ts";
import { temporaryHome } from "./testing/fake-gate.ts";
import { openTunnel } from "./tunnel.ts";

test("an abort is told by the signal's own reason, as is one that was there before", async () => {
  const reason = new DOMException("stopped by SIGINT", "AbortError");
  const controller = new AbortController();
  const pausing = pause(60_000, controller.signal);
  controller.abort(reason);
  await expect(pausing).rejects.toBe(reason);
  await expect(pause(60_000, controller.signal)).rejects.toBe(reason);
});

test("a Ctrl-C while a gate is waited for is known as one", async () => {
  using home = temporaryHome();
  const reason = new DOMException("stopped by SIGINT", "AbortError");
  const controller = new AbortController();
  // At once after it was said, the tunnel waits.
  const waiting = (): void => void setImmediate(() => controller.abort(reason));
  await expect(openTunnel({ home, environment: {}, host: "x.localhost", waiting }, controller.signal)).rejects.toBe(
    reason,
  );
});
