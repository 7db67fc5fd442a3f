import { expect, test } from "vitest";
import { encode } from "../proto/kit.ts";
import { DeltaDiscoveryRequest } from "../proto/tables/discovery.ts";
import { type AdsRequest, readRequest } from "./read-request.ts";

/** What it comes to, and in how many parts. */
function read(bytes: Uint8Array): { readonly request: AdsRequest; readonly parts: number } {
  const reading = readRequest(bytes);
  for (let parts = 1; ; parts += 1) {
    const step = reading.next();
    if (step.done === true) return { request: step.value, parts };
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, at) => `tg/job-${at}.localhost`);

test("a request is read as it was written", () => {
  const said = {
    node: { id: "e1", cluster: "edge" },
    ...{ typeUrl: "type.googleapis.com/x", resourceNamesSubscribe: ["*", "a"], resourceNamesUnsubscribe: ["b"] },
    ...{ initialResourceVersions: { a: "1", c: "" }, responseNonce: "7", errorDetail: { code: 13, message: "no" } },
  };
  const { request, parts } = read(encode(DeltaDiscoveryRequest, said));
  expect(parts).toBe(1);
  expect(request).toEqual({
    ...{ node: said.node, typeUrl: said.typeUrl, nonce: "7", errorDetail: said.errorDetail },
    ...{ subscribe: ["*", "a"], unsubscribe: ["b"] },
    versions: new Map([
      ["a", "1"],
      ["c", ""],
    ]),
  });
  expect(read(new Uint8Array()).request).toMatchObject({ typeUrl: "", nonce: "", node: undefined, subscribe: [] });
});

test("one of an Envoy that has 50,000 resources is read by parts, whatever it lies within", () => {
  const held = names(50_000);
  const said = {
    ...{ typeUrl: "x", resourceNamesSubscribe: held, resourceNamesUnsubscribe: ["over"], responseNonce: "9" },
    initialResourceVersions: Object.fromEntries(held.map((name, at) => [name, `v${at}`])),
  };
  const bytes = encode(DeltaDiscoveryRequest, said);
  const within = Buffer.concat([Buffer.from("before"), bytes, Buffer.from("after")]).subarray(6, 6 + bytes.length);
  const { request, parts } = read(within);
  expect(parts).toBeGreaterThanOrEqual(40);
  expect(request.subscribe).toEqual(held);
  expect(request.unsubscribe).toEqual(["over"]);
  expect([request.typeUrl, request.nonce, request.versions.size]).toEqual(["x", "9", 50_000]);
  expect(request.versions.get("tg/job-49999.localhost")).toBe("v49999");
});

test("bytes that are none are a RangeError", () => {
  const bytes = encode(DeltaDiscoveryRequest, { typeUrl: "x", resourceNamesSubscribe: names(5000) });
  for (const bad of [bytes.subarray(0, bytes.length - 3), Buffer.from([0xff]), Buffer.from([0x0b])]) {
    expect(() => read(bad)).toThrow(RangeError);
  }
});
