import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { isRightLink, isSignedBy, signLinkToken } from "./link-text.ts";
import { hashOf } from "./codes.ts";

const TIMES = 4000;

/** Medians of both, in ns, measured in turns so that what else the machine does counts for both. */
function medians(...what: readonly (() => unknown)[]): readonly number[] {
  const taken = what.map((): number[] => []);
  for (let round = 0; round < TIMES; round += 1) {
    for (const [at, run] of what.entries()) {
      const from = process.hrtime.bigint();
      run();
      taken[at]?.push(Number(process.hrtime.bigint() - from));
    }
  }
  return taken.map((list) => list.toSorted((a, b) => a - b)[TIMES / 2] ?? 0);
}

/** Far below what one byte more that agrees would have to show over a network, and far above what a machine that is busy adds. */
function expectAlike([one = 0, other = 0]: readonly number[]): void {
  expect(Math.max(one, other) / Math.min(one, other)).toBeLessThan(1.5);
}

/** `text` with another character at a place. */
const changed = (text: string, at: number) =>
  `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;

describe("how long it takes to refuse", () => {
  const link = `g-aaaaaaaaaaaa_${randomBytes(32).toString("base64url")}`;
  const key = randomBytes(32).toString("base64url");
  const grant = { hash: hashOf(link), key } as unknown as Parameters<typeof isRightLink>[1];

  test("a link says nothing of how much of it is right, nor whether there is one of that name", () => {
    const early = changed(link, 16);
    const late = changed(link, link.length - 2);
    expect([isRightLink(link, grant), isRightLink(early, grant), isRightLink(link, undefined)]).toEqual([
      true,
      false,
      false,
    ]);
    expectAlike(
      medians(
        () => isRightLink(early, grant),
        () => isRightLink(late, grant),
      ),
    );
    expectAlike(
      medians(
        () => isRightLink(late, grant),
        () => isRightLink(late, undefined),
      ),
    );
  });

  test("a token of a link says nothing of how much of its signature is right", () => {
    const made = { grant: { id: "g-aaaaaaaaaaaa" }, key } as unknown as Parameters<typeof signLinkToken>[0];
    const token = signLinkToken(made, 1_900_000_000_000);
    const early = changed(token, token.lastIndexOf(".") + 1);
    const late = changed(token, token.length - 3);
    expect([isSignedBy(token, key), isSignedBy(early, key), isSignedBy(late, key)]).toEqual([true, false, false]);
    expectAlike(
      medians(
        () => isSignedBy(early, key),
        () => isSignedBy(late, key),
      ),
    );
  });
});
