import { expect, test } from "vitest";
import { isConsequential, isForeign } from "./origins.ts";
import { makeHead } from "./testing/browser.ts";

const OWN = "http://nb.localhost:7080";

function foreign(headers: Record<string, string>, allowed: readonly string[] = []): boolean {
  return isForeign(makeHead({ host: "nb.localhost:7080", method: "POST", headers }), OWN, allowed);
}

test("takes a page of the service itself as its own", () => {
  expect(foreign({ origin: OWN })).toBe(false);
  expect(foreign({ origin: OWN, "sec-fetch-site": "same-origin" })).toBe(false);
  expect(foreign({ "sec-fetch-site": "same-origin" })).toBe(false);
});

test.each([
  "http://other.localhost:7080",
  "http://nb.localhost:7081",
  "http://nb.localhost",
  "https://nb.localhost:7080",
  "http://nb.localhost:7080.evil.example",
  "http://evil.example/http://nb.localhost:7080",
  `${OWN}, http://evil.example`,
  `${OWN} `,
  "HTTP://NB.LOCALHOST:7080",
  "null",
  "",
])("takes Origin %j as foreign", (origin) => {
  expect(foreign({ origin })).toBe(true);
});

test.each(["same-site", "cross-site", "none", "SAME-ORIGIN", ""])(
  "takes Sec-Fetch-Site %j without Origin as foreign",
  (site) => {
    expect(foreign({ "sec-fetch-site": site })).toBe(true);
  },
);

test("takes who does not say where they come from as foreign", () => {
  expect(foreign({})).toBe(true);
});

test("takes who says two things as foreign", () => {
  expect(foreign({ origin: OWN, "sec-fetch-site": "cross-site" })).toBe(true);
  expect(foreign({ origin: OWN, "sec-fetch-site": "same-site" })).toBe(true);
});

test("tells a page that hides its origin from itself from a sandboxed frame", () => {
  expect(foreign({ origin: "null", "sec-fetch-site": "same-origin" })).toBe(false);
  expect(foreign({ origin: "null", "sec-fetch-site": "cross-site" })).toBe(true);
});

test("lets in the origins that the service allows, to the letter", () => {
  const allowed = ["http://other.localhost:7080"];
  expect(foreign({ origin: "http://other.localhost:7080", "sec-fetch-site": "same-site" }, allowed)).toBe(false);
  expect(foreign({ origin: "http://another.localhost:7080" }, allowed)).toBe(true);
  expect(foreign({ origin: "null" }, ["null"])).toBe(true);
});

test("looks at whatever can change something, and at WebSocket handshakes", () => {
  const consequential = (method: string, headers = {}): boolean =>
    isConsequential(makeHead({ host: "x", method, headers }));
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND", "get"])
    expect(consequential(method)).toBe(true);
  for (const method of ["GET", "HEAD", "OPTIONS"]) expect(consequential(method)).toBe(false);
  expect(consequential("GET", { upgrade: "websocket" })).toBe(true);
});
