import { expect, test } from "vitest";
import { strippedHeaders } from "./headers.ts";
import { hostRoute } from "./testing/auth-kit.ts";
import { makeHead } from "./testing/browser.ts";

const ROUTE = hostRoute("nb.localhost", "local/nb/web");

function stripped(names: readonly string[], recognised: readonly string[] = [], route = ROUTE): readonly string[] {
  const headers = Object.fromEntries(names.map((name) => [name, "x"]));
  return strippedHeaders(route, makeHead({ host: "nb.localhost:7080", headers }), recognised);
}

test.each([
  "x-taskgate-authorization",
  "x-taskgate-service",
  "x-taskgate-user",
  "x-taskgate-anything-to-come",
  "x_taskgate_user",
  "x-taskgate_user",
  "x.taskgate.user",
  "remote~user",
  "remote-user",
  "remote_user",
  "x-remote-user",
  "x-forwarded-user",
  "x-forwarded-email",
  "x-forwarded-groups",
  "x-forwarded-preferred-username",
  "x-auth-request-email",
  "x_auth_request_email",
  "x-webauth-user",
  "x-ms-client-principal",
  "x-ms-client-principal-name",
  "cf-access-jwt-assertion",
  "proxy-authorization",
])("takes %s out, which says who somebody is", (name) => {
  expect(stripped([name, "accept"])).toEqual([name]);
});

test("leaves what belongs to the app", () => {
  expect(stripped(["authorization", "cookie", "x-user-agent", "x-xsrftoken", "x-remote", "x-taskgater"])).toEqual([]);
});

test("takes out what an authenticator recognised", () => {
  expect(stripped(["authorization"], ["authorization"])).toEqual(["authorization"]);
});

test("takes every Authorization out where it is the gate's", () => {
  const route = hostRoute("nb.localhost", "local/nb/web", { policy: { authorization: "gate" } });
  expect(stripped(["authorization"], [], route)).toEqual(["authorization"]);
});

test("takes out all known names where a plane cannot say which there are", () => {
  const { method, host, path, peer, secure, header } = makeHead({ host: "nb.localhost:7080" });
  const all = strippedHeaders(ROUTE, { method, host, path, peer, secure, header }, []);
  expect(all).toEqual(
    expect.arrayContaining(["x-taskgate-authorization", "x-taskgate-user", "remote-user", "x-forwarded-user"]),
  );
});
