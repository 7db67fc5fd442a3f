import { expect, test } from "vitest";
import { formatTraceparent, isTracestate, parseTraceparent } from "./trace-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

test("reads a traceparent of version 00, and of versions to come what is known of them", () => {
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, flags: 1 });
  expect(parseTraceparent(`00-${TRACE}-${SPAN}-00`)?.flags).toBe(0);
  expect(parseTraceparent(`cc-${TRACE}-${SPAN}-03-what-will-be`)).toEqual({ traceId: TRACE, spanId: SPAN, flags: 3 });
});

test.each([
  undefined,
  "",
  `00-${TRACE}-${SPAN}`,
  `00-${TRACE}-${SPAN}-01-more`,
  `00-${TRACE}-${SPAN}-1`,
  `ff-${TRACE}-${SPAN}-01`,
  `00-${"0".repeat(32)}-${SPAN}-01`,
  `00-${TRACE}-${"0".repeat(16)}-01`,
  `00-${TRACE.toUpperCase()}-${SPAN}-01`,
  ` 00-${TRACE}-${SPAN}-01`,
  `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  `cc-${TRACE}-${SPAN}-01.what`,
])("takes %s for no traceparent", (value) => {
  expect(parseTraceparent(value)).toBeNull();
});

test("says of the flags only the one that it knows", () => {
  expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, flags: 0xff })).toBe(`00-${TRACE}-${SPAN}-01`);
  expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, flags: 0xfe })).toBe(`00-${TRACE}-${SPAN}-00`);
});

test("takes lists of members for a tracestate, up to 32, none twice", () => {
  const many = (count: number) => Array.from({ length: count }, (_, at) => `k${String(at)}=v`).join(",");
  for (const good of ["rojo=00f067aa0ba902b7", "a=1, b=2 ,,c=3", "t61@vendor=x y", many(32)]) {
    expect(isTracestate(good), good).toBe(true);
  }
  for (const bad of ["", ",", "a", "A=1", "a=", "a=1=2", "a=b\u007f", "a=1,a=2", many(33), `a=${"x".repeat(5000)}`]) {
    expect(isTracestate(bad), bad).toBe(false);
  }
});
