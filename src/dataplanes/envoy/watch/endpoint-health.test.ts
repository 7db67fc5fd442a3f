import { beforeEach, expect, test } from "vitest";
import { EndpointHealth } from "./endpoint-health.ts";

const FINE = { ejected: false, checked: null };
let health: EndpointHealth;
let changes: number;

beforeEach(() => {
  changes = 0;
  health = new EndpointHealth({ failures: 3, changed: () => void (changes += 1), trouble: () => undefined });
});

const verdict = (): string | undefined => health.verdicts.get("local/a/web 127.0.0.1:1");
const fail = (at = 1): void => health.failed("local/a/web", "127.0.0.1:1", at);
const answer = (at = 1): void => health.answered("local/a/web", "127.0.0.1:1", at);

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
  health.sighted("local/a/web", "127.0.0.1:1", { ejected: false, checked: false });
  expect(verdict()).toBe("unhealthy");
  health.sighted("local/a/web", "127.0.0.1:1", { ejected: false, checked: true });
  expect(verdict()).toBe("healthy");
  health.sighted("local/a/web", "127.0.0.1:1", { ejected: true, checked: true });
  expect(verdict()).toBe("unhealthy");
  expect(health.troubled).toEqual(new Set(["local/a/web"]));
});

test("is troubled by a failure until Envoy was asked, and for as long as that passes an endpoint over", () => {
  fail();
  expect(health.troubled.size).toBe(1);
  health.sighted("local/a/web", "127.0.0.1:1", FINE);
  expect(health.troubled.size).toBe(0);
  fail();
  fail();
  health.sighted("local/a/web", "127.0.0.1:1", { ...FINE, ejected: true });
  health.sighted("local/a/web", "127.0.0.1:1", FINE);
  expect(verdict()).toBe("healthy");
  expect(health.troubled.size).toBe(0);
});

test("forgets endpoints that are gone", () => {
  answer();
  health.failed("local/a/web", "127.0.0.1:2", 1);
  health.keep("local/a/web", [{ address: { ip: "127.0.0.1", port: 2 } }]);
  expect(verdict()).toBeUndefined();
  health.keep("local/a/web", []);
  expect(health.verdicts.size).toBe(0);
  expect(health.troubled.size).toBe(0);
});
