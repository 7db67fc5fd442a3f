import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Route, Session } from "../../../model/index.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { SLOT } from "../../figures.ts";
import { byHost, TableBuilder } from "../../testing/table-builder.ts";
import { TestGatekeeper } from "../../testing/test-gatekeeper.ts";
import { Book } from "./book.ts";
import { Tally } from "./tally.ts";
import { type EntryInput, requestFacts } from "./testing/log-entry.ts";
import { type Decided, WhoCame } from "./who-came.ts";

const KEY = "local/app/web";
const ID = "dae6b3f8-3e7a-43c8-a215-7d1a38060415";
const CAME = {
  kind: "websocket",
  peer: "192.0.2.7",
  requestId: ID,
  session: null,
  startedAt: 0,
  asked: { version: "1.1", head: requestFacts().asked!.head },
} as const;
const PERIODIC: EntryInput = {
  common: { accessLogType: "DownstreamPeriodic", duration: undefined, customTags: { h: "own.1" } },
  response: { responseCode: 101, responseBodyBytes: 5 },
  request: { requestHeaders: { ":method": "GET", upgrade: "websocket" }, requestBodyBytes: 7 },
};
const END: EntryInput = { ...PERIODIC, common: { customTags: { h: "own.1" } } };

let gatekeeper: TestGatekeeper;
let tally: Tally;
let book: Book;
let route: Route;
let decided: Map<string, Decided>;
let changes: number;
let used: string[];

beforeEach(() => {
  vi.useFakeTimers();
  const table = new TableBuilder().service({ key: KEY, matches: [byHost("app.localhost")], endpoints: [] });
  route = table.commit().diff.routes.set[0]!;
  gatekeeper = new TestGatekeeper();
  tally = new Tally();
  decided = new Map();
  changes = 0;
  used = [];
  book = new Book({
    ...{ gatekeeper, tally, clock: systemClock, logger: silentLogger, teller: { over: () => undefined } },
    who: new WhoCame({
      decided: (use) => decided.get(use),
      routeOfId: (id) => (id === route.id ? route : undefined),
      sessionOf: () => null,
    }),
    routeOf: (cluster) => (cluster === "tg/app.localhost" ? route : undefined),
    used: (service) => void used.push(service),
    changed: () => void (changes += 1),
  });
});
afterEach(() => {
  book[Symbol.dispose]();
  vi.useRealTimers();
});

const noCut = { cut: () => true };
const openNow = (): number => tally.figures({ logLines: 0, spans: 0 }).services[0]?.[1][SLOT.open] ?? 0;

describe("what is held", () => {
  test("is one use, with the figures of its entries", () => {
    book.held("own.1", { ...CAME, route }, noCut);
    expect(openNow()).toBe(1);
    book.seen(requestFacts(PERIODIC));
    expect(gatekeeper.seen).toHaveLength(1);
    expect(gatekeeper.seen[0]?.use).toMatchObject({ bytesIn: 7, bytesOut: 5, largestIn: 7, status: 101 });
    expect(book.unheld.size).toBe(0);
    book.ended("own.1");
    book.seen(requestFacts(END));
    expect(gatekeeper.seen).toHaveLength(1);
    expect(gatekeeper.seen[0]?.bytes).toEqual({ in: 7, out: 5 });
    expect(openNow()).toBe(0);
    expect(tally.figures({ logLines: 0, spans: 0 }).answers).toEqual([["websocket 101 app", 1]]);
    expect(book.count).toBe(0);
  });

  test("is over soon after Envoy says so, also where its entry never comes", () => {
    book.held("own.1", { ...CAME, route }, noCut);
    book.ended("own.1");
    vi.advanceTimersByTime(25_000);
    expect(gatekeeper.open).toEqual([]);
    expect(changes).toBe(0);
  });

  test("stays for as long as it is held, whether or not anything is told of it", () => {
    book.held("own.1", { ...CAME, route }, noCut);
    vi.advanceTimersByTime(3_600_000);
    expect(gatekeeper.open).toHaveLength(1);
  });

  test("is listed once its stream broke, until it is over or nothing is told of it any more", () => {
    book.held("own.1", { ...CAME, route }, noCut);
    book.lost("own.1");
    expect(changes).toBe(1);
    expect([...book.unheld]).toEqual([[KEY, 1]]);
    vi.advanceTimersByTime(20_000);
    book.seen(requestFacts(PERIODIC));
    vi.advanceTimersByTime(20_000);
    expect([...book.unheld]).toEqual([[KEY, 1]]);
    vi.advanceTimersByTime(25_000);
    expect(book.unheld.size).toBe(0);
    expect(gatekeeper.open).toEqual([]);
  });

  test("is one use, too, where Envoy did not wait for the gate, and tells of it by its own id alone", () => {
    const byId: EntryInput = { ...PERIODIC, common: { ...PERIODIC.common, customTags: {} } };
    book.held("own.1", { ...CAME, route }, noCut);
    book.lost("own.1");
    book.seen(requestFacts(byId));
    expect([gatekeeper.open.length, openNow(), book.count]).toEqual([1, 1, 1]);
    book.held("own.2", { ...CAME, route }, noCut);
    book.lost("own.2");
    expect([gatekeeper.open.length, openNow(), book.count], "its entry was the first").toEqual([1, 1, 1]);
    book.seen(requestFacts({ ...END, common: { customTags: {} } }));
    expect([gatekeeper.open.length, openNow(), book.count]).toEqual([0, 0, 0]);
  });

  test("is one use, too, where it was over before Envoy heard what the gate calls it", () => {
    book.held("own.1", { ...CAME, route }, noCut);
    book.held("own.2", { ...CAME, route, requestId: "another" }, noCut);
    book.ended("own.1");
    book.ended("own.2");
    book.seen(requestFacts({ ...END, common: { customTags: {} } }));
    expect([book.count, gatekeeper.seen.length, openNow()]).toEqual([1, 2, 1]);
    book.seen(requestFacts({ ...END, common: { customTags: { h: "own.2" } } }));
    expect([book.count, gatekeeper.seen.length, openNow()]).toEqual([0, 2, 0]);
  });

  test("ends with its route, and is judged again when that is another", () => {
    const cut = vi.fn(() => true);
    book.held("own.1", { ...CAME, route }, { cut });
    const other = { ...route, access: { grants: [], anyone: "public" } } as const;
    book.apply({ routes: { set: [other], removed: [] } });
    expect(gatekeeper.seen[0]?.moved).toEqual([other]);
    expect(cut).not.toHaveBeenCalled();
    book.apply({ routes: { set: [], removed: [route.id] } });
    expect(cut).toHaveBeenCalledOnce();
    expect(gatekeeper.seen[0]?.use.cutFor).toBe("route_gone");
  });
});

describe("what no gate holds", () => {
  test("is known by its entries, listed, and told once", () => {
    book.seen(requestFacts(PERIODIC));
    book.seen(requestFacts(PERIODIC));
    expect([...book.unheld]).toEqual([[KEY, 1]]);
    expect(gatekeeper.open).toHaveLength(1);
    book.seen(requestFacts(END));
    expect(book.unheld.size).toBe(0);
    expect(gatekeeper.seen.map(({ bytes }) => bytes)).toEqual([{ in: 7, out: 5 }]);
  });
});

describe("what is over when it is told of", () => {
  test("was a use, with its times", () => {
    const facts = requestFacts();
    book.seen(facts);
    expect(gatekeeper.seen[0]?.use).toMatchObject({ since: facts.startedAt, until: facts.endedAt, status: 200 });
    expect(gatekeeper.open).toEqual([]);
    expect(used).toEqual([KEY]);
    expect(openNow()).toBe(0);
  });

  test("was a use also where its service did not answer", () => {
    const responseFlags = { upstreamConnectionFailure: true };
    const response = { responseCode: 503, responseCodeDetails: "upstream_reset_before_response_started{x}" };
    book.seen(requestFacts({ response, common: { responseFlags } }));
    expect(gatekeeper.seen[0]?.use).toMatchObject({ status: 503, code: "unreachable" });
    expect(gatekeeper.refusals).toEqual([]);
  });

  test("was a refusal where Envoy answered by itself, and nothing where the gate has told of it", () => {
    const common = { upstreamRequestAttemptCount: 0, upstreamRemoteAddress: undefined };
    book.seen(
      requestFacts({ common, response: { responseCode: 431, responseCodeDetails: "request_headers_too_large" } }),
    );
    book.seen(requestFacts({ common, response: { responseCode: 403, responseCodeDetails: "ext_authz_denied" } }));
    expect(gatekeeper.refusals.map(({ use }) => use.code)).toEqual(["header_too_large"]);
    expect(gatekeeper.seen).toEqual([]);
    expect(tally.figures({ logLines: 0, spans: 0 }).refusals).toEqual([["header_too_large", 1], ["denied", 1]]); // prettier-ignore
  });

  test("is of the route that another gate decided about, where that is still there", () => {
    const common = { upstreamCluster: "tunnel", customTags: { u: "of another gate", r: route.id } };
    book.seen(requestFacts({ common }));
    expect(gatekeeper.seen[0]).toMatchObject({ route: { id: route.id }, session: null });
  });

  test("is of whom the gate let in, to the route that it decided about", () => {
    const session = { id: "login.session" } as Session;
    const other = { ...route, id: "headers x", service: "local/app/api" };
    decided.set("u1", { route: other, session });
    book.seen(requestFacts({ common: { customTags: { u: "u1" } } }));
    expect(gatekeeper.seen[0]).toMatchObject({ route: { id: "headers x" }, session });
  });
});
