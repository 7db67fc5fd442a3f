import fc from "fast-check";
import { expect, test } from "vitest";
import { IDENTITY_FAMILIES, IDENTITY_HEADERS, isIdentityField } from "../../../model/index.ts";
import { answerTrailerPattern, fieldPattern, requestTrailerPattern } from "./field-pattern.ts";

/** RE2 and JavaScript read these patterns alike. */
function matches(pattern: string, name: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(name);
}

const KEPT = ["x-taskgate-authorization", "x-taskgate-service", "x-forwarded-user", "x-my-user"];
const SIGNS = ["-", "_", ".", "~", "!"];

/** Names as visitors spell them, in lower case as an Envoy has them. */
const spelled = fc
  .constantFrom(...IDENTITY_HEADERS, ...IDENTITY_FAMILIES, ...KEPT, "x-taskgate-user", "accept", "x-taskgate", "cookie")
  .chain((name) =>
    fc.tuple(
      fc.constant(name),
      fc.array(fc.constantFrom(...SIGNS), { minLength: 8, maxLength: 8 }),
      fc.constantFrom("", "x", "-y"),
    ),
  ) // prettier-ignore
  .map(([name, signs, end]) => {
    let at = 0;
    return name.replaceAll("-", () => signs[at++ % signs.length] ?? "-") + end;
  });

test("matches every spelling of a field that says who asks, and no other", () => {
  const pattern = fieldPattern([]);
  fc.assert(
    fc.property(spelled, (name) => {
      const proxys = /^(x[^a-z0-9](forwarded|envoy|tg)[^a-z0-9]|forwarded$|x[^a-z0-9]real[^a-z0-9]ip$)/.test(name);
      expect(matches(pattern, name)).toBe(isIdentityField(name) || proxys);
    }),
    { numRuns: 2000 },
  );
});

test("leaves those alone that the gate reads, in their own spelling and in no other", () => {
  const [all, pattern] = [fieldPattern([]), fieldPattern(KEPT)];
  for (const name of KEPT) {
    expect(matches(pattern, name)).toBe(false);
    expect(matches(pattern, name.replaceAll("-", "_"))).toBe(true);
    expect(matches(pattern, name.replace(/-(?=[^-]*$)/, "."))).toBe(true);
  }
  fc.assert(
    fc.property(spelled, (name) => {
      const other = KEPT.some((kept) => kept === name.replace(/[^a-z0-9]/g, "-")) && !KEPT.includes(name);
      expect(matches(pattern, name)).toBe(!KEPT.includes(name) && (other || matches(all, name)));
    }),
    { numRuns: 2000 },
  );
});

test("matches what is nearly a field of framing, and framing itself in trailers alone", () => {
  const [head, request, answer] = [
    fieldPattern(KEPT),
    requestTrailerPattern(["cookie"]),
    answerTrailerPattern(["x-tg"]),
  ];
  for (const name of ["content_length", "content.length", "transfer_encoding"]) {
    expect([head, request, answer].map((pattern) => matches(pattern, name))).toEqual([true, true, true]);
  }
  for (const name of ["content-length", "transfer-encoding", "host", "te"]) {
    expect([head, request, answer].map((pattern) => matches(pattern, name))).toEqual([false, true, true]);
  }
  for (const name of ["content-type", "grpc-status", "x-sum"]) {
    expect([head, request, answer].map((pattern) => matches(pattern, name))).toEqual([false, false, false]);
  }
  expect([matches(request, "cookie"), matches(answer, "x_tg")]).toEqual([true, true]);
});
