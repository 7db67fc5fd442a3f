import { expect, test } from "vitest";
import { Http2Head } from "./http2-head.ts";
import { readRequest } from "./read-request.ts";

const PSEUDO = [":method", "GET", ":scheme", "http", ":path", "/a?b", ":authority", "A.localhost:80"];
const CLIENT = { peer: "192.0.2.1", secure: false };
const block = (fields: readonly string[], again = false) => ({ fields: [...PSEUDO, ...fields], fault: null, again });

test("reads who is asked for what, and how much follows", () => {
  const read = readRequest(block(["content-length", "5", "expect", "100-Continue"]), false);
  expect(read).toMatchObject({
    method: "GET",
    target: { ok: true, host: "a.localhost:80", path: "/a?b" },
    framing: { kind: "length", length: "5" },
    expectsContinue: true,
  });
  expect(readRequest(block(["x", "y"]), false)?.framing.kind).toBe("chunked");
  expect(readRequest(block(["content-length", "0"]), true)?.framing.kind).toBe("none");
});

test("reads a head that comes again once, with a body and without", () => {
  const again = block(["x", "y"], true);
  expect(readRequest(again, true)).toBe(readRequest(again, true));
  expect(readRequest(again, false)).not.toBe(readRequest(again, true));
  expect(readRequest(block(["x", "y"]), true)?.repeated).toBe(false);
});

test("joins repeated fields, cookies as cookies are", () => {
  const fields = ["x-a", "1", "cookie", "a=1", "x-a", "2", "cookie", "b=2"];
  const read = readRequest(block(fields, true), true);
  if (read === null) throw new Error("it is malformed");
  const head = new Http2Head(read, read.fields, CLIENT);
  expect([head.header("x-a"), head.header("cookie"), head.header("x-b")]).toEqual(["1, 2", "a=1; b=2", undefined]);
  expect([...head.names()]).toEqual(["x-a", "cookie", "x-a", "cookie"]);
  expect(head.repeated).toBe(read);
  expect(new Http2Head(read, [...fields, "connection", "Upgrade"], CLIENT).repeated).toBeUndefined();
});
