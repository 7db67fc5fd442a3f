import * as crypto from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { isRightLink, isSignedBy, signLinkToken } from "./link-text.ts";
import { hashOf } from "./codes.ts";

vi.mock("node:crypto", { spy: true });

/** What refusing does, without what it is about: whoever measures it measures this. */
function workOf(refuse: () => boolean) {
  vi.clearAllMocks();
  expect(refuse()).toBe(false);
  const { hash, createHmac, timingSafeEqual } = vi.mocked(crypto);
  const lengths = timingSafeEqual.mock.calls.map(([one, other]) => [one.byteLength, other.byteLength]);
  const hashed = hash.mock.calls.map(([algorithm, data]) => [algorithm, (data as string).length]);
  return { hashed, macs: createHmac.mock.calls.length, lengths };
}

/** `text` with another character at a place. */
const changed = (text: string, at: number) =>
  `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;

afterEach(() => vi.restoreAllMocks());

describe("refusing is the same work", () => {
  const link = `g-aaaaaaaaaaaa_${crypto.randomBytes(32).toString("base64url")}`;
  const key = crypto.randomBytes(32).toString("base64url");
  const grant = { hash: hashOf(link), key } as unknown as Parameters<typeof isRightLink>[1];

  test("however much of a link is right, and whether there is one of that name", () => {
    const early = changed(link, 16);
    const late = changed(link, link.length - 2);
    expect(isRightLink(link, grant)).toBe(true);
    const work = workOf(() => isRightLink(early, grant));
    expect(work).toEqual({ hashed: [["sha256", link.length]], macs: 0, lengths: [[43, 43]] });
    expect(workOf(() => isRightLink(late, grant))).toEqual(work);
    expect(workOf(() => isRightLink(late, undefined))).toEqual(work);
  });

  test("however much of a link token's signature is right", () => {
    const made = { grant: { id: "g-aaaaaaaaaaaa" }, key } as unknown as Parameters<typeof signLinkToken>[0];
    const token = signLinkToken(made, 1_900_000_000_000);
    const early = changed(token, token.lastIndexOf(".") + 1);
    const late = changed(token, token.length - 3);
    expect(isSignedBy(token, key)).toBe(true);
    const work = workOf(() => isSignedBy(early, key));
    expect(work).toEqual({ hashed: [], macs: 1, lengths: [[43, 43]] });
    expect(workOf(() => isSignedBy(late, key))).toEqual(work);
  });
});
