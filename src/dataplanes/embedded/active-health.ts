import type { ActiveHealth, Protocol } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { http } from "../../platform/node-http.ts";
import { pause } from "../../platform/pause.ts";
import { grpcHealth } from "./http2/grpc-health.ts";
import { hostOf } from "../host-of.ts";
import type { Target } from "./target.ts";

export interface WatchHealthDeps {
  readonly target: Target;
  readonly ask: ActiveHealth;
  readonly protocol: Protocol;
  readonly clock: Clock;
  /** Id of the upstream that it is of. */
  readonly upstream: string;
}

/** Has an endpoint's `checked` called with what is found out about it, until disposed. */
export type WatchHealth = (deps: WatchHealthDeps) => Disposable;

/** So many in a row before a verdict turns; the first answer counts at once. */
const THRESHOLD = 2;
const LONGEST_ANSWER_MS = 5000;

/** Asks one endpoint again and again whether it is well, until disposed. */
export function watchHealth(deps: WatchHealthDeps): Disposable {
  const controller = new AbortController();
  void keepAsking(deps, controller.signal);
  return { [Symbol.dispose]: () => controller.abort() };
}

/** Name of the loop: health checks of one endpoint. Ends with the signal. */
async function keepAsking(deps: WatchHealthDeps, signal: AbortSignal): Promise<void> {
  const { target, ask, clock } = deps;
  let verdict: "unknown" | "healthy" | "unhealthy" = "unknown";
  let against = 0;
  for (;;) {
    // Whatever a job makes of the question (a session that ends under it, a path that cannot be sent): it is not well.
    const found = (await isWell(deps, signal).catch(() => false)) ? "healthy" : "unhealthy";
    if (signal.aborted) return; // asked or waited in vain: whoever disposed of it wants no answer
    against = found === verdict ? 0 : against + 1;
    if (verdict === "unknown" || against >= THRESHOLD) {
      verdict = found;
      against = 0;
      target.checked(found);
    }
    // A tenth of jitter either way: endpoints that came together need not be asked together.
    await pause(clock, ask.everyMs * (0.9 + Math.random() / 5), signal);
  }
}

async function isWell(deps: WatchHealthDeps, signal: AbortSignal): Promise<boolean> {
  const controller = new AbortController();
  const timer = deps.clock.after(Math.min(deps.ask.everyMs, LONGEST_ANSWER_MS), () => controller.abort());
  try {
    return await askOnce(deps, AbortSignal.any([signal, controller.signal]));
  } finally {
    timer[Symbol.dispose]();
  }
}

async function askOnce({ target, ask, protocol }: WatchHealthDeps, signal: AbortSignal): Promise<boolean> {
  if (protocol === "grpc") return grpcHealth(target, signal);
  if (protocol === "http" && ask.path !== undefined) return httpHealth(target, ask.path, signal);
  const socket = await target.dial(signal);
  if (typeof socket === "string") return false;
  socket.destroy();
  return true;
}

async function httpHealth(target: Target, path: string, signal: AbortSignal): Promise<boolean> {
  const socket = await target.dial(signal);
  if (typeof socket === "string") return false;
  return new Promise((resolve) => {
    const headers = { host: hostOf(target.address), "user-agent": "taskgate-health", connection: "close" };
    const request = http().request({ createConnection: () => socket, path, headers, signal }, (response) => {
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 400);
      request.destroy(); // the body is of no interest
    });
    request.on("error", () => resolve(false)); // whatever it is: not well
    request.on("close", () => {
      resolve(false); // no answer came; after one this does nothing
      socket.destroy();
    });
    request.end();
  });
}
