import { expect, test } from "vitest";
import { decideRetry, type FailedTry } from "./retry.ts";

/** A GET without a body, of which all was sent on a new connection that then broke. */
const BROKEN: FailedTry = {
  failure: "reset",
  sent: true,
  unprocessed: false,
  reused: false,
  answering: false,
  method: "GET",
  bodyTaken: false,
};

test.each<[what: string, tried: Partial<FailedTry>, again: "other" | "same" | "no"]>([
  ["nobody listens", { failure: "connect_failed", sent: false }, "other"],
  ["nobody listens, a POST", { failure: "connect_failed", sent: false, method: "POST" }, "other"],
  ["no connection in time", { failure: "connect_timeout", sent: false, method: "POST" }, "other"],
  ["no connection, but the body was read already", { failure: "connect_failed", sent: false, bodyTaken: true }, "no"],
  ["a new connection breaks before anything is sent", { sent: false, method: "POST" }, "other"],
  ["a new connection breaks after a GET", {}, "no"],
  ["a new connection breaks after a POST", { method: "POST" }, "no"],
  ["a kept connection is dead before anything is sent", { reused: true, sent: false, method: "POST" }, "same"],
  ["a kept connection dies under a GET", { reused: true }, "same"],
  ["a kept connection dies under a PUT without a body", { reused: true, method: "PUT" }, "same"],
  ["a kept connection dies under a DELETE", { reused: true, method: "DELETE" }, "same"],
  ["a kept connection dies under a POST", { reused: true, method: "POST" }, "no"],
  ["a kept connection dies under a PATCH", { reused: true, method: "PATCH" }, "no"],
  ["a kept connection dies under a method that nobody knows", { reused: true, method: "PURGE" }, "no"],
  ["a kept connection dies under a PUT whose body was read", { reused: true, method: "PUT", bodyTaken: true }, "no"],
  ["a kept connection dies after an interim answer", { reused: true, answering: true }, "no"],
  ["the endpoint says that it did not look at it, a POST", { unprocessed: true, method: "POST" }, "same"],
  ["the endpoint says so, but the body was read", { unprocessed: true, method: "POST", bodyTaken: true }, "no"],
  ["silence", { failure: "idle_timeout", reused: true }, "no"],
  ["an answer that cannot be passed on", { failure: "bad_answer", reused: true }, "no"],
  ["a request that cannot be sent", { failure: "bad_request", sent: false }, "no"],
])("%s: %o is tried again: %s", (_what, tried, again) => {
  expect(decideRetry({ ...BROKEN, ...tried })).toBe(again);
});
