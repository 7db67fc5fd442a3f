import { beforeEach, expect, test } from "vitest";
import { EndpointHealth, type Sight } from "./endpoint-health.ts";

const FINE = { ejected: false, checked: null };
let health: EndpointHealth;
let changes: number;

beforeEach(() => {
  changes = 0;
  health = new EndpointHealth({ failures: 3, changed: () => void (changes += 1), trouble: () => undefined });
});

const verdict = (): string | undefined => health.verdicts.get("local/a/web 127.0.0.1:1");
const at1 = (envoy: string) => ({ envoy, upstream: "local/a/web", address: "127.0.0.1:1" });
const fail = (at = 1, envoy = "one"): void => health.failed(at1(envoy), at);
const answer = (at = 1, envoy = "one"): void => health.answered(at1(envoy), at);
const sight = (said: Sight, envoy = "one"): void => health.sighted(at1(envoy), said);
const disputed = () => [...health.disputes].map(({ against }) => against);

test("takes an endpoint for unhealthy after failures in a row, and for healthy with the next answer", () => {
  fail();
  fail();
  expect(verdict()).toBeUndefined();
  answer();
  expect(verdict()).toBe("healthy");
  fail();
  fail();
  expect(verdict()).toBe("healthy");
  fail();
  expect(verdict()).toBe("unhealthy");
  answer();
  expect(verdict()).toBe("healthy");
  expect(changes).toBe(3);
});

test("takes no failure for news that was before an answer which it heard of first", () => {
  answer(10);
  for (let count = 0; count < 5; count += 1) fail(9);
  expect(verdict()).toBe("healthy");
  for (let count = 0; count < 5; count += 1) fail(11);
  expect(verdict()).toBe("unhealthy");
});

test("says what Envoy says: passed over, and answering checks or not", () => {
  sight({ ejected: false, checked: false });
  expect(verdict()).toBe("unhealthy");
  sight({ ejected: false, checked: true });
  expect(verdict()).toBe("healthy");
  sight({ ejected: true, checked: true });
  expect(verdict()).toBe("unhealthy");
  expect(health.troubled("one")).toEqual(new Set(["local/a/web"]));
});

test("is troubled by a failure until Envoy was asked, and for as long as that passes an endpoint over", () => {
  fail();
  expect(health.troubled("one").size).toBe(1);
  sight(FINE);
  expect(health.troubled("one").size).toBe(0);
  fail();
  fail();
  sight({ ...FINE, ejected: true });
  sight(FINE);
  expect(verdict()).toBe("healthy");
  expect(health.troubled("one").size).toBe(0);
});

test("forgets endpoints that are gone", () => {
  answer();
  health.failed({ ...at1("one"), address: "127.0.0.1:2" }, 1);
  health.keep("local/a/web", [{ address: { ip: "127.0.0.1", port: 2 } }]);
  expect(verdict()).toBeUndefined();
  health.keep("local/a/web", []);
  expect(health.verdicts.size).toBe(0);
  expect(health.troubled("one").size).toBe(0);
});

test("takes an endpoint for unhealthy when all Envoys do that say anything, and else names those that pass it over", () => {
  sight({ ejected: true, checked: null }, "two");
  expect([verdict(), disputed()]).toEqual(["unhealthy", []]);
  sight(FINE);
  expect(verdict(), "one that never tried it says nothing").toBe("unhealthy");
  answer();
  expect([verdict(), disputed()]).toEqual(["healthy", [["two"]]]);
  fail(2);
  fail(2);
  fail(2);
  expect([verdict(), disputed()]).toEqual(["unhealthy", []]);
  sight(FINE, "two");
  expect([verdict(), disputed()]).toEqual(["healthy", [["one"]]]);
  answer(3);
  expect([verdict(), disputed()]).toEqual(["healthy", []]);
});

test("says so, too, where Envoys check endpoints", () => {
  for (const envoy of ["one", "two", "three"]) sight({ ejected: false, checked: true }, envoy);
  for (const envoy of ["two", "three"]) sight({ ejected: false, checked: false }, envoy);
  expect([verdict(), disputed()]).toEqual(["healthy", [["three", "two"]]]);
  health.forget("one");
  expect([verdict(), disputed()]).toEqual(["unhealthy", []]);
  health.forget("two");
  health.forget("three");
  expect(verdict(), "nobody is left who knows").toBeUndefined();
});

test("asks an Envoy of its own trouble alone, by the times of its own clock", () => {
  answer(100, "two");
  fail(1);
  expect([health.troubled("one").size, health.troubled("two").size]).toEqual([1, 0]);
  health.forget("one");
  expect(health.troubled("one").size).toBe(0);
});
