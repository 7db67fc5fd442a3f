import { expect, test } from "vitest";
import { requestHeadOf } from "./request-head.ts";

test("knows who asks, and by which front, as the plane says it", () => {
  const headers = {
    host: "taskgate.localhost",
    ...{ "x-forwarded-for": "6.6.6.6, 192.0.2.7", "x-forwarded-proto": "https", "x-taskgate-front": "10.0.0.1" },
    cookie: "a=b",
  };
  const head = requestHeadOf(new Request("http://x/path?q", { headers }));
  expect(head).toMatchObject({ peer: "192.0.2.7", front: "10.0.0.1", secure: true, path: "/path?q" });
  expect(head.header("cookie")).toBeUndefined();
  expect(requestHeadOf(new Request("http://x/")).front).toBeUndefined();
});
