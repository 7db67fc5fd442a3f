import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { hashOf, newSecret, NO_HASH } from "./codes.ts";
import type { LinkGrant } from "./granted.ts";

/** `g-ID_SECRET`: the grant's id, which is public, and 256 bits. */
const LINK = /^(g-[a-z2-7]{12})_[A-Za-z0-9_-]{43}$/;

/** `tg_ID_lEXPIRY.MAC`: what a link is exchanged for. The letter keeps it apart from every token that has a secret of its own. */
const TOKEN = /^tg_([a-z2-7]{12})_l([0-9a-z]{1,11})\.([A-Za-z0-9_-]{43})$/;

/** A new link of a grant, and what is kept of it. */
export function newLink(grantId: string): { readonly text: string; readonly secret: Pick<LinkGrant, "hash" | "key"> } {
  const text = `${grantId}_${newSecret()}`;
  return { text, secret: { hash: hashOf(text), key: randomBytes(32).toString("base64url") } };
}

/** Id of the grant that a link claims to be of; null: this is no link. */
export function grantIdOf(link: string): string | null {
  return LINK.exec(link)?.[1] ?? null;
}

/** Takes as long whatever the link is, and whether there is such a grant or not. */
export function isRightLink(link: string, grant: Pick<LinkGrant, "hash"> | undefined): boolean {
  const right = timingSafeEqual(Buffer.from(grant?.hash ?? NO_HASH), Buffer.from(hashOf(link)));
  return right && grant !== undefined;
}

/** A token for who came by a link, good until `expiresAt` (epoch ms): nothing is kept of it, and it ends with its grant. */
export function signLinkToken({ grant, key }: Pick<LinkGrant, "grant" | "key">, expiresAt: number): string {
  const head = `tg_${grant.id.replace(/^g-/, "")}_l${expiresAt.toString(36)}`;
  return `${head}.${macOf(key, head)}`;
}

/** What a token of a link's visitor claims; null: it is none. */
export function readLinkToken(token: string): { readonly grantId: string; readonly expiresAt: number } | null {
  const [, id, expiry = ""] = TOKEN.exec(token) ?? [];
  return id === undefined ? null : { grantId: `g-${id}`, expiresAt: parseInt(expiry, 36) };
}

/** Whether a grant's key signed the token; as long for every token. Look at its end, too. */
export function isSignedBy(token: string, key: string): boolean {
  const at = token.lastIndexOf(".");
  const expected = Buffer.from(macOf(key, token.slice(0, at)));
  const shown = Buffer.from(token.slice(at + 1));
  return shown.length === expected.length && timingSafeEqual(expected, shown);
}

function macOf(key: string, text: string): string {
  return createHmac("sha256", Buffer.from(key, "base64url")).update(text).digest("base64url");
}
