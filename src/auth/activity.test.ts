import { beforeEach, expect, test } from "vitest";
import type { Use } from "../model/index.ts";
import { createManualClock, type ManualClock } from "../store/testing/manual-clock.ts";
import { Activity } from "./activity.ts";
import { hostRoute, OWNER, START } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";

const SERVICE = "local/nb/lab";
const ROUTE = hostRoute("nb.localhost", SERVICE);

let clock: ManualClock;
let activity: Activity;
beforeEach(() => {
  clock = createManualClock(START);
  activity = new Activity(clock);
  activity.watch({ services: [[SERVICE, "notebook"]], background: { notebook: ["GET /poll*"], "*": ["POST /beat"] } });
});

type Changing<T> = { -readonly [K in keyof T]: T[K] };

function makeUse(more: Partial<Use> & { readonly path?: string; readonly method?: string } = {}): Changing<Use> {
  const { path = "/lab", method = "GET", ...rest } = more;
  const head = makeHead({ host: "nb.localhost", path, method });
  const session = { id: "a.b", principal: OWNER, service: SERVICE, expiresAt: Infinity, renewAt: Infinity };
  const figures = { bytesIn: 0, bytesOut: 0, status: 200, code: null, largestIn: 0, cutFor: null };
  return { kind: "http", peer: "192.0.2.7", head, session, ...figures, ...rest };
}

function usedAt(): number | undefined {
  return activity.last.get(SERVICE)?.at;
}

test("takes what somebody asks for as use, and says by whom", () => {
  activity.opened(makeUse(), ROUTE)?.();
  expect(activity.last.get(SERVICE)).toEqual({ at: START, by: "local/olga" });
  clock.advance(1000);
  activity.opened(makeUse({ session: null }), ROUTE)?.();
  expect(activity.last.get(SERVICE)).toEqual({ at: START + 1000, by: null });
});

test.each([
  ["GET", "/api/kernels?1700000000000"],
  ["GET", "/user/bob/api/terminals"],
  ["GET", "/healthz"],
  ["GET", "/polling/it"],
  ["POST", "/beat"],
])("takes %s %s as no use of a notebook", (method, path) => {
  expect(activity.opened(makeUse({ method, path }), ROUTE)).toBeNull();
  expect(usedAt()).toBeUndefined();
});

test.each([
  ["POST", "/api/kernels"],
  ["PUT", "/api/contents/a.ipynb"],
  ["GET", "/api/contents/a.ipynb?type=notebook&content=1&hash=1"],
  ["GET", "/api/kernelsx"],
  ["GET", "/lab/tree?next=/api/kernels/x"],
])("takes %s %s as use of a notebook", (method, path) => {
  activity.opened(makeUse({ method, path }), ROUTE);
  expect(usedAt()).toBe(START);
});

test("looks at nothing that it is not told to watch", () => {
  expect(activity.opened(makeUse(), hostRoute("tb.localhost", "local/tb/web"))).toBeNull();
  activity.opened(makeUse(), ROUTE);
  activity.watch({ services: [], background: {} });
  expect(activity.opened(makeUse(), ROUTE)).toBeNull();
  expect(activity.last.size).toBe(0);
});

test("takes what a visitor sends over a WebSocket as use, but no pongs and nothing that its server sends", () => {
  const use = makeUse({ kind: "websocket", path: "/api/kernels/1/channels" });
  const done = activity.opened(use, ROUTE);
  expect(usedAt()).toBe(START);
  clock.advance(60_000);
  Object.assign(use, { bytesIn: 10, bytesOut: 1_000_000, largestIn: 10 });
  clock.advance(60_000);
  expect(usedAt()).toBe(START);
  Object.assign(use, { bytesIn: 400, largestIn: 390 });
  clock.advance(1000);
  expect(usedAt()).toBe(START + 121_000);
  clock.advance(60_000);
  done?.();
  expect(usedAt()).toBe(START + 121_000);
});

test("sees what is said over a WebSocket that was open before anybody wanted to know", () => {
  activity.watch({ services: [], background: {} });
  const use = makeUse({ kind: "websocket", path: "/api/kernels/1/channels", largestIn: 300 });
  activity.opened(use, ROUTE);
  clock.advance(5000);
  activity.watch({ services: [[SERVICE, "notebook"]], background: {} });
  clock.advance(5000);
  expect(usedAt()).toBeUndefined();
  use.largestIn = 300;
  clock.advance(1000);
  expect(usedAt()).toBe(START + 11_000);
});

test("takes more to be somebody's doing where a program's page keeps its connection open by itself", () => {
  activity.watch({ services: [[SERVICE, "ide"]], background: {} });
  const use = makeUse({ kind: "websocket", path: "/stable-abc" });
  activity.opened(use, ROUTE);
  clock.advance(5000);
  use.largestIn = 19;
  clock.advance(5000);
  expect(usedAt()).toBe(START);
  use.largestIn = 100;
  clock.advance(1000);
  expect(usedAt()).toBe(START + 11_000);
});

test("takes downloads, uploads and what goes through a tunnel as use for as long as they move", () => {
  const download = makeUse();
  activity.opened(download, ROUTE);
  clock.advance(60_000);
  download.bytesOut = 100; // a page that is told what is new
  clock.advance(60_000);
  expect(usedAt()).toBe(START);
  download.bytesOut += 1_000_000;
  clock.advance(1000);
  expect(usedAt()).toBe(START + 121_000);
  const tunnel = makeUse({ kind: "forward" });
  const done = activity.opened(tunnel, ROUTE);
  clock.advance(60_000);
  tunnel.bytesIn += 1;
  done?.();
  expect(usedAt()).toBe(clock.now());
});
