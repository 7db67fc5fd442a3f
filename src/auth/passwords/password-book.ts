import { createHmac, hash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { startWatchedValue } from "../../platform/watched-value.ts";
import { type Groups, parseGroupsFile, parsePasswordFile, type Passwords } from "./parse-password-file.ts";
import { matchesPassword } from "../../platform/password-hash.ts";

/** A password that counts now. */
export interface PasswordEntry {
  /** Public, for revocation: another one for each password, also for one that comes back. */
  readonly id: string;
  /** The same for as long as the password is, also after a restart; says nothing about it to who has not the file. */
  readonly version: string;
  /** Slow where the password is kept as a hash. */
  matches(password: string): Promise<boolean>;
}

/** A password that does not count any more. `user` null: everybody's. `removed`: there is no such user now. */
export interface PasswordChange {
  readonly user: string | null;
  readonly id: string;
  readonly removed: boolean;
}

/** Passwords as files say them now. Disposing it stops watching the files. */
export interface PasswordBook extends AsyncDisposable {
  /** null: there is no such user. */
  find(user: string): PasswordEntry | null;
  /** For a name that nobody has: an entry of somebody else, always the same, so that a no takes as long as for who is there. */
  spare(user: string): PasswordEntry | null;
  groupsOf(user: string): readonly string[];
}

export interface PasswordBookDeps {
  readonly groupsFile?: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly changed: (changes: readonly PasswordChange[]) => void;
}

/** Users of an htpasswd file. Throws `bad_request` where a file is broken now; one that is broken later is not taken. */
export async function startPasswordBook(
  deps: PasswordBookDeps & { readonly passwordFile: string },
): Promise<PasswordBook> {
  const { passwordFile: path, clock, logger } = deps;
  const key = randomBytes(32);
  let entries: ReadonlyMap<string, Line> = new Map();
  let users: readonly string[] = [];
  const groups = await startGroups(deps);
  await using scope = new AsyncDisposableStack();
  scope.use(groups);
  const take = (passwords: Passwords): void => {
    const before = entries;
    entries = nextEntries(before, passwords);
    users = [...entries.keys()];
    const changes = [...before].flatMap(([user, { line, id }]) => {
      const now = entries.get(user);
      return now?.line === line ? [] : [{ user, id, removed: now === undefined }];
    });
    if (changes.length > 0) deps.changed(changes);
  };
  scope.use(await startWatchedValue({ path, parse: parsePasswordFile, take, clock, logger }));
  const files = scope.move();
  return {
    find: (user) => entries.get(user) ?? null,
    spare(user) {
      const number = createHmac("sha256", key).update(user).digest().readUInt32BE(0);
      return entries.get(users[number % Math.max(1, users.length)] ?? "") ?? null;
    },
    groupsOf: groups.of,
    [Symbol.asyncDispose]: () => files.disposeAsync(),
  };
}

/** One password for all, whatever they call themselves: the simple mode of Dask Gateway. Throws as `startPasswordBook`. */
export async function startSharedPassword(
  deps: PasswordBookDeps & { readonly sharedPasswordFile: string },
): Promise<PasswordBook> {
  const { sharedPasswordFile: path, clock, logger } = deps;
  const state: { entry: (PasswordEntry & { readonly digest: Buffer }) | null } = { entry: null };
  const groups = await startGroups(deps);
  await using scope = new AsyncDisposableStack();
  scope.use(groups);
  const take = (password: string): void => {
    const { entry } = state;
    if (entry !== null && timingSafeEqual(entry.digest, digestOf(entry.version, password))) return;
    state.entry = sharedEntry(password);
    if (entry !== null) deps.changed([{ user: null, id: entry.id, removed: false }]);
  };
  scope.use(await startWatchedValue({ path, parse: parseSharedPassword, take, clock, logger }));
  const files = scope.move();
  return {
    find: () => state.entry,
    spare: () => state.entry,
    groupsOf: groups.of,
    [Symbol.asyncDispose]: () => files.disposeAsync(),
  };
}

interface Line extends PasswordEntry {
  readonly line: string;
}

function nextEntries(before: ReadonlyMap<string, Line>, passwords: Passwords): ReadonlyMap<string, Line> {
  return new Map(
    [...passwords].map(([user, { hash: known, line }]) => {
      const kept = before.get(user);
      if (kept?.line === line) return [user, kept];
      const version = hash("sha256", line, "base64url");
      const matches = (password: string): Promise<boolean> => matchesPassword(password, known);
      return [user, { id: newId(), line, version, matches }];
    }),
  );
}

/** The version has a salt of its own: of a short password even a digest says too much. It changes with a restart, which asks for a login. */
function sharedEntry(password: string): PasswordEntry & { readonly digest: Buffer } {
  const version = randomBytes(16).toString("base64url");
  const digest = digestOf(version, password);
  const matches = (shown: string): Promise<boolean> =>
    Promise.resolve(timingSafeEqual(digest, digestOf(version, shown)));
  return { id: newId(), version, digest, matches };
}

/** Of one length, so that comparing takes the same time for all. */
function digestOf(key: string, password: string): Buffer {
  return createHmac("sha256", key).update(password).digest();
}

function newId(): string {
  return `password-${randomBytes(12).toString("hex")}`;
}

/** The first line of the file is the password; `$(openssl rand -base64 32)` ends it with a line's end. */
function parseSharedPassword(text: string): { readonly value: string } | string {
  const value = text.replace(/\r?\n$/, "");
  if (value.length < 8) return "expected a password of at least 8 characters";
  return /[\r\n\0]/.test(value) ? "expected one line, the password" : { value };
}

interface GroupsFile extends AsyncDisposable {
  of(user: string): readonly string[];
}

async function startGroups({ groupsFile, clock, logger }: PasswordBookDeps): Promise<GroupsFile> {
  let groups: Groups = new Map();
  const take = (now: Groups): void => {
    groups = now;
  };
  const file =
    groupsFile === undefined
      ? null
      : await startWatchedValue({ path: groupsFile, parse: parseGroupsFile, take, clock, logger });
  return {
    of: (user) => groups.get(user) ?? [],
    [Symbol.asyncDispose]: async () => file?.[Symbol.asyncDispose](),
  };
}
