import { LINK_REALM, type Grant } from "./access.ts";
import { GatewayError } from "./errors.ts";
import type { Identity } from "./identity.ts";

/** Somebody that access can be given to by name: a user, or all of a group. */
export type Who = Exclude<Grant["to"], { readonly link: string }>;

/** A realm: what vouches for identities, named like a part of a host name. */
const REALM = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** One line of visible text: these names are shown in terminals, on pages and in logs. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

const NAME_LENGTH = 256;

const SPELLING = "[user:|group:][REALM/]NAME, such as alice, group:ml or corp/alice";

/** Whether `text` may be the name of a realm. */
export function isRealm(text: string): boolean {
  return REALM.test(text);
}

/**
 * Reads `[user:|group:][REALM/]NAME`: what stands before the first `/` is the realm, so a name that holds one is spelt with its realm.
 * `realm` is that of whoever wrote a name without one. Throws `bad_request`, which says what was expected.
 */
export function parseWho(text: string, realm: string): Who {
  const [, kind, rest = ""] = /^(user:|group:)?(.*)$/s.exec(text) ?? [];
  const identity = parseIdentity(rest, { realm, text });
  return kind === "group:" ? { group: identity } : identity;
}

/** Reads `[user:][REALM/]NAME`. Throws as `parseWho`, also for a group. */
export function parseUser(text: string, realm: string): Identity {
  const who = parseWho(text, realm);
  if ("group" in who) throw notWho(text, "a group, where one user is meant", "[REALM/]NAME, such as corp/alice");
  return who;
}

/** The spelling that `parseWho` reads as the same again, shortest for who is of `realm`; without one, always with the realm. */
export function whoText(who: Who, realm?: string): string {
  const [kind, identity] = "group" in who ? ["group:", who.group] : ["", who];
  const plain = identity.realm === realm && !/^(user|group):|\//.test(identity.name);
  return plain ? `${kind}${identity.name}` : `${kind}${identity.realm}/${identity.name}`;
}

function parseIdentity(rest: string, given: { readonly realm: string; readonly text: string }): Identity {
  const slash = rest.indexOf("/");
  const realm = slash < 0 ? given.realm : rest.slice(0, slash);
  const name = rest.slice(slash + 1);
  if (realm === LINK_REALM) {
    throw notWho(given.text, "visitors of a link", "users and groups; a link is taken back by its id");
  }
  if (!isRealm(realm)) {
    throw notWho(given.text, `realm ${JSON.stringify(realm)}`, "a realm of lower-case letters, digits and dashes");
  }
  if (name === "" || name.length > NAME_LENGTH || name !== name.trim() || UNSEEN.test(name)) {
    const expected = `${SPELLING}: a name is 1 to ${String(NAME_LENGTH)} visible characters`;
    throw notWho(given.text, "no name that can be used", expected);
  }
  return { realm, name };
}

function notWho(text: string, found: string, expected: string): GatewayError {
  return new GatewayError("bad_request", `${JSON.stringify(text.slice(0, 80))} names ${found}; expected ${expected}`);
}
