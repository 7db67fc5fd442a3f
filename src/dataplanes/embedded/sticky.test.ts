import { expect, test } from "vitest";
import type { Match, Route, Site } from "../../model/index.ts";
import { isSticky, stickyCookie } from "../sticky-cookie.ts";
import { Sticky } from "./sticky.ts";

const site: Site = {
  ...{ domain: "example.com", gateHost: "taskgate.example.com", pathHost: "paths.example.com" },
  ...{ secure: true, port: 443, dial: "10.0.0.1" },
};
const host: Match = { by: "host", listener: "main", host: "nb.example.com" };
const path: Match = { by: "path", listener: "main", host: "paths.example.com", prefix: "/nb/", strip: true };

function route(match: Match, more: Partial<Route> = {}): Route {
  return {
    ...{ id: "r", match, service: "local/nb/web", protocol: "http", guard: "gate", upstream: "local/nb/web" },
    ...{ owner: null, access: { grants: [], anyone: "nobody" }, policy: { sticky: true } },
    ...more,
  };
}

test("names its cookie so that over TLS no sibling can set it, and in plain HTTP no other gate of the machine", () => {
  expect(stickyCookie(site, route(host))).toBe("__Host-taskgate-replica");
  expect(stickyCookie(site, route(path))).toMatch(/^__Secure-taskgate-replica-[0-9a-f]{20}$/);
  const plain = { ...site, secure: false, port: 7080 };
  expect(stickyCookie(plain, route(host))).toBe("taskgate-replica-7080");
  expect(stickyCookie(plain, route(path))).toMatch(/^taskgate-replica-7080-[0-9a-f]{20}$/);
});

test("makes ids that only the secret's holder can tell, apart by service and replica", () => {
  const sticky = new Sticky({ site, secret: "s1" });
  const id = sticky.idOf("local/nb/web", "10.0.0.7:80");
  expect(id).toMatch(/^[\w-]{16}$/);
  expect(new Sticky({ site, secret: "s1" }).idOf("local/nb/web", "10.0.0.7:80")).toBe(id);
  expect(new Sticky({ site, secret: "s2" }).idOf("local/nb/web", "10.0.0.7:80")).not.toBe(id);
  expect(sticky.idOf("local/nb/api", "10.0.0.7:80")).not.toBe(id);
  expect(sticky.idOf("local/nb/web", "10.0.0.8:80")).not.toBe(id);
});

test("concerns HTTP services that ask for it, where there is a choice", () => {
  expect(isSticky(route(host))).toBe(true);
  expect(isSticky(route(host, { policy: {} }))).toBe(false);
  expect(isSticky(route(host, { protocol: "grpc" }))).toBe(false);
  expect(isSticky(route(host, { replica: "1" }))).toBe(false);
});
