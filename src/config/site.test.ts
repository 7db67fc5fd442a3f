import { expect, test } from "vitest";
import { originOf } from "../model/index.ts";
import { loadConfig } from "./load-config.ts";
import { siteOf } from "./site.ts";

const siteFor = (flags: Record<string, string>, port: number) => {
  const { config, problems } = loadConfig({ environment: {}, flags });
  expect(problems).toEqual([]);
  return siteOf(config!, port);
};

test("the site of the defaults is on localhost", () => {
  expect(siteFor({}, 7080)).toEqual({
    domain: "localhost",
    gateHost: "taskgate.localhost",
    pathHost: "paths.localhost",
    secure: false,
    port: 7080,
    dial: "127.0.0.1",
  });
});

test("hosts follow the domain, unless they are set", () => {
  expect(siteFor({ domain: "apps.example.com" }, 1)).toMatchObject({
    gateHost: "taskgate.apps.example.com",
    pathHost: "paths.apps.example.com",
  });
  const set = { domain: "apps.example.com", gateHost: "gate.example.net", pathHost: "p.example.org" };
  expect(siteFor(set, 1)).toMatchObject(set);
});

test.each([
  ["0.0.0.0:7080", "127.0.0.1"],
  ["[::]:7080", "::1"],
  ["[0:0::0]:7080", "::1"],
  ["localhost:7080", "127.0.0.1"],
  ["[::1]:7080", "::1"],
  ["127.0.0.5:7080", "127.0.0.5"],
  ["10.0.0.1:7080", "10.0.0.1"],
])("a gate on %s is dialled at %s", (address, dial) => {
  const flags = { "listen.address": address, "listen.plainOnPublicAddress": "true" };
  expect(siteFor(flags, 7080).dial).toBe(dial);
});

test.each([
  [{}, { secure: true, port: 443, dial: "taskgate.apps.example.com" }, "https://nb.apps.example.com"],
  [{ port: "8443" }, { secure: true, port: 8443 }, "https://nb.apps.example.com:8443"],
  [{ scheme: "http" }, { secure: false, port: 80 }, "http://nb.apps.example.com"],
  [{ grpcPort: "9090", address: "192.0.2.1" }, { grpcPort: 9090, dial: "192.0.2.1" }, "https://nb.apps.example.com"],
])("visitors come in where a front before the gate is: %j", (seen, expected, origin) => {
  const keys = Object.entries({ scheme: "https", ...seen }).map(([key, value]) => [`listen.public.${key}`, value]);
  const site = siteFor({ domain: "apps.example.com", ...(Object.fromEntries(keys) as Record<string, string>) }, 7080);
  expect(site).toMatchObject(expected);
  expect(originOf(site, "nb.apps.example.com")).toBe(origin);
});
