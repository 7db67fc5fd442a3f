import { type PasswordHash, parsePasswordHash } from "../../platform/password-hash.ts";

/** What a password file says, by user. `line`: the hash as written, which changes with the password. */
export type Passwords = ReadonlyMap<string, { readonly hash: PasswordHash; readonly line: string }>;

const MAX_USERS = 100_000;
/** A name is shown in terminals and on pages; `:` ends it here and in a request (RFC 7617 section 2). */
const USER = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}:]{1,256}$/u;

/**
 * Reads an htpasswd file: `USER:HASH` on each line, `#` begins a comment. A text is the first thing that is wrong, with its line and the
 * remedy, and without the hash. One bad line makes the whole file bad: whoever wrote it meant all of it.
 */
export function parsePasswordFile(text: string): { readonly value: Passwords } | string {
  const passwords = new Map<string, { hash: PasswordHash; line: string }>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const at = `line ${String(index + 1)}`;
    const colon = line.indexOf(":");
    const user = line.slice(0, Math.max(colon, 0));
    if (!USER.test(user) || user !== user.trim())
      return `${at}: expected USER:HASH, with a user's name that can be shown`;
    if (passwords.has(user)) return `${at}: ${user} is there twice; remove one of the lines`;
    if (passwords.size >= MAX_USERS) return `${at}: more than ${String(MAX_USERS)} users`;
    const hash = parsePasswordHash(line.slice(colon + 1));
    if (typeof hash === "string") return `${at} (${user}): ${hash}`;
    passwords.set(user, { hash, line });
  }
  return { value: passwords };
}

/** Groups of each user. */
export type Groups = ReadonlyMap<string, readonly string[]>;

/** Reads a groups file as Apache's AuthGroupFile has it: `GROUP: USER USER …` on each line. A text is the first thing that is wrong. */
export function parseGroupsFile(text: string): { readonly value: Groups } | string {
  const groups = new Map<string, string[]>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const group = line.slice(0, Math.max(colon, 0)).trim();
    if (!USER.test(group)) return `line ${String(index + 1)}: expected GROUP: USER USER …`;
    for (const user of line.slice(colon + 1).split(/\s+/)) {
      if (user === "") continue;
      const before = groups.get(user) ?? [];
      if (!before.includes(group)) groups.set(user, [...before, group]);
    }
  }
  return { value: groups };
}
