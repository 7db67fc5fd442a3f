import { expect, test } from "vitest";
import { cookieName, ownCookies, setCookie, valuesOf } from "./cookies.ts";
import { hostRoute, pathRoute, PLAIN, SECURE } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";

const NB = hostRoute("nb.localhost", "local/nb/web");
const PATH_A = pathRoute("/a/", "local/a/web", "paths.localhost");
const PATH_B = pathRoute("/b/", "local/b/web", "paths.localhost");

function own(cookie: string) {
  return ownCookies(makeHead({ host: "nb.localhost:7080", headers: { cookie } }));
}

test("names the session __Host- over TLS, and with the port on plain loopback", () => {
  expect(cookieName(SECURE, NB, "session")).toBe("__Host-taskgate-session");
  expect(cookieName(PLAIN, NB, "session")).toBe("taskgate-session-7080");
  expect(cookieName(PLAIN, NB, "state")).toBe("taskgate-state-7080");
});

test("gives every service in path mode a name and a path of its own", () => {
  const names = [PATH_A, PATH_B].map((route) => cookieName(SECURE, route, "session"));
  expect(names[0]).toMatch(/^__Secure-taskgate-session-[0-9a-f]{20}$/);
  expect(names[0]).not.toBe(names[1]);
  expect(setCookie(SECURE, PATH_A, { name: "n", value: "v", maxAgeS: 60 })).toBe(
    "n=v; Path=/a/; Max-Age=60; HttpOnly; SameSite=Lax; Secure",
  );
});

test("sets cookies for one host alone, out of reach of scripts", () => {
  expect(setCookie(PLAIN, NB, { name: "n", value: "v", maxAgeS: 59.9 })).toBe(
    "n=v; Path=/; Max-Age=59; HttpOnly; SameSite=Lax",
  );
  expect(setCookie(SECURE, NB, { name: "n", value: "", maxAgeS: -5 })).toBe(
    "n=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
  );
});

test("finds every cookie of a gate, of any port, prefix and case, and none of the app's", () => {
  const found = own(
    "_xsrf=1; taskgate-session-7080=a; __Host-taskgate-session=b;taskgate-state-9=c; TaskGate-session=d ;  __Secure-taskgate-x-1=e; mytaskgate-session=f; x=taskgate-session-7080; taskgate-bare",
  );
  expect(found.map(({ name, value }) => `${name}=${value}`)).toEqual([
    "taskgate-session-7080=a",
    "__Host-taskgate-session=b",
    "taskgate-state-9=c",
    "TaskGate-session=d",
    "__Secure-taskgate-x-1=e",
    "taskgate-bare=",
  ]);
});

test("finds none where there is no cookie at all", () => {
  expect(ownCookies(makeHead({ host: "nb.localhost:7080" }))).toEqual([]);
});

test("looks at a few of many cookies of one name, and at that very name only", () => {
  const tossed = Array.from({ length: 100 }, (_, at) => `taskgate-session-7080=${at}`).join("; ");
  expect(valuesOf(own(tossed), "taskgate-session-7080")).toEqual(["0", "1", "2", "3"]);
  expect(valuesOf(own("TASKGATE-SESSION-7080=a; taskgate-session-70800=b"), "taskgate-session-7080")).toEqual([]);
});
