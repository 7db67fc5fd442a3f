import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Gateway, Listener } from "../../platform/kubernetes/gateway-objects.ts";
import { listenerFor, MOST_LISTENERS, planListeners } from "./listeners.ts";

const MARK = "abcdefghij-front";
const HTTPS: Listener = { name: "https", port: 443, protocol: "HTTPS" };

function gateway(listeners: readonly Listener[], annotations: Readonly<Record<string, string>> = {}): Gateway {
  return { metadata: { name: "g", namespace: "n", annotations }, spec: { listeners } };
}

interface Options {
  readonly ports?: readonly number[];
  readonly keep?: readonly number[];
}

function plan(of: Gateway, { ports = [], keep = [] }: Options) {
  const kept = new Set(keep);
  return planListeners(of, { ports: new Set(ports), keep: (port) => kept.has(port), mark: MARK, namespace: "n" });
}

describe("listeners of a Gateway for raw ports", () => {
  test("are added with their mark, and serve once they are there", () => {
    const before = gateway([HTTPS], { other: "1" });
    const { write, serving } = plan(before, { ports: [20_000] });
    expect(serving).toEqual(new Map());
    expect(write?.spec?.listeners).toEqual([HTTPS, listenerFor(20_000, "n")]);
    expect(write?.metadata.annotations).toEqual({ other: "1", "taskgate.dev/port-20000": MARK });
    const after = plan(write ?? before, { ports: [20_000] });
    expect([after.write, after.serving]).toEqual([null, new Map([[20_000, "taskgate-20000"]])]);
  });

  test("go with their mark, but not before what leads to them", () => {
    const there = gateway([HTTPS, listenerFor(20_000, "n")], { "taskgate.dev/port-20000": MARK, other: "1" });
    expect(plan(there, { keep: [20_000] }).write).toBeNull();
    const { write } = plan(there, {});
    expect([write?.spec?.listeners, write?.metadata.annotations]).toEqual([[HTTPS], { other: "1" }]);
  });

  test("of somebody else stay as they are, and serve where they are for TCP", () => {
    const others = [
      HTTPS,
      { name: "sql", port: 20_000, protocol: "TCP" },
      { name: "web", port: 20_001, protocol: "HTTP" },
      listenerFor(20_002, "n"),
      { name: "dns", port: 20_003, protocol: "UDP" },
    ];
    const there = gateway(others, { "taskgate.dev/port-20002": "klmnopqrst-front" });
    const { write, serving, refused } = plan(there, { ports: [20_000, 20_001, 20_003] });
    expect(serving).toEqual(new Map([[20_000, "sql"]]));
    expect(refused).toEqual(new Map([[20_001, "its listener web is for HTTP"]]));
    expect(write?.spec?.listeners).toEqual([...others, listenerFor(20_003, "n")]);
    expect(write?.metadata.annotations).toMatchObject({ "taskgate.dev/port-20002": "klmnopqrst-front" });
  });

  test("are as many as a Gateway has", () => {
    const ports = Array.from({ length: MOST_LISTENERS }, (_, at) => 20_000 + at);
    const { write, refused } = plan(gateway([HTTPS]), { ports });
    expect(write?.spec?.listeners).toHaveLength(MOST_LISTENERS);
    expect([...refused.keys()]).toEqual([ports.at(-1)]);
  });

  test("are never all taken away: a Gateway has one at least", () => {
    expect(plan(gateway([listenerFor(20_000, "n")], { "taskgate.dev/port-20000": MARK }), {}).write).toBeNull();
  });

  test("settle after one write, and touch nobody else's, whatever there is", () => {
    const port = fc.integer({ min: 20_000, max: 20_006 });
    const owner = fc.constantFrom(MARK, "klmnopqrst-front", "");
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(port, owner), { selector: ([at]) => at }),
        fc.uniqueArray(port),
        (there, ports) => {
          const others = there.filter(([, mark]) => mark !== MARK).map(([at]) => ({ ...listenerFor(at, "n") }));
          const own = there.filter(([, mark]) => mark === MARK).map(([at]) => listenerFor(at, "n"));
          const marks = there
            .filter(([, mark]) => mark !== "")
            .map(([at, mark]) => [`taskgate.dev/port-${String(at)}`, mark]);
          const before = gateway([HTTPS, ...others, ...own], Object.fromEntries(marks) as Record<string, string>);
          const after = plan(before, { ports }).write ?? before;
          for (const listener of [HTTPS, ...others]) expect(after.spec?.listeners).toContainEqual(listener);
          const again = plan(after, { ports });
          expect(again.write).toBeNull();
          expect([...again.serving.keys()].sort()).toEqual([...ports].sort());
          const foreign = marks.filter(([, mark]) => mark !== MARK);
          expect(after.metadata.annotations).toMatchObject(Object.fromEntries(foreign));
        },
      ),
    );
  });
});
