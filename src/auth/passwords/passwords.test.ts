import { hash } from "bcrypt";
import { scryptSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { parseGroupsFile, parsePasswordFile } from "./parse-password-file.ts";
import { createPasswordChecks } from "./password-checks.ts";
import { hashPassword, matchesPassword, parsePasswordHash, type PasswordHash } from "../../platform/password-hash.ts";

function known(text: string): PasswordHash {
  const parsed = parsePasswordHash(text);
  if (typeof parsed === "string") throw new Error(parsed);
  return parsed;
}

const plain = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");

describe("a password's hash", () => {
  test.each(["$2a$", "$2b$", "$2y$"])("of bcrypt is taken with %s", async (prefix) => {
    const text = (await hash("secret", 4)).replace("$2b$", prefix);
    expect(await matchesPassword("secret", known(text))).toBe(true);
    expect(await matchesPassword("Secret", known(text))).toBe(false);
  });

  test("of scrypt is what RFC 7914 and passlib make of it", async () => {
    const salt = Buffer.from("0123456789abcdef");
    const made = scryptSync("secret", salt, 32, { N: 1024, r: 8, p: 1 });
    const text = `$scrypt$ln=10,r=8,p=1$${plain(salt)}$${plain(made)}`;
    expect(await matchesPassword("secret", known(text))).toBe(true);
    expect(await matchesPassword("secret ", known(text))).toBe(false);
  });

  test("that we write is scrypt with a salt of its own, and is read again", async () => {
    const [one, two] = [await hashPassword("secret"), await hashPassword("secret")];
    expect(one).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$/);
    expect(one).not.toBe(two);
    expect(await matchesPassword("secret", known(one))).toBe(true);
  });

  test.each([
    ["$apr1$salt$hash", /MD5/],
    ["$1$salt$hash", /MD5/],
    ["{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", /SHA-1/],
    ["$5$salt$hash", /SHA crypt/],
    ["$argon2id$v=19$m=65536,t=3,p=4$x$y", /argon2/],
    ["rl.3StKT.4T8M", /DES crypt/],
    ["hunter2", /plain password/],
    [`$2y$31$${"a".repeat(53)}`, /cost 31/],
    ["$2y$05$short", /no well-formed bcrypt/],
    ["$scrypt$ln=30,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", /out of bounds/],
    ["$scrypt$ln=15,r=8$x", /no well-formed scrypt/],
    ["", /plain password/],
  ])("%s is refused, with what it is and what to do instead", (text, reason) => {
    const said = parsePasswordHash(text);
    expect(said).toMatch(reason);
    expect(said).toMatch(/taskgate password/);
    if (text.length > 10) expect(said).not.toContain(text.slice(4));
  });
});

describe("a password file", () => {
  test("has a user on each line; comments, empty lines and line ends of Windows count for nothing", async () => {
    const line = `alice:${await hash("x", 4)}`;
    const parsed = parsePasswordFile(`# people\r\n\r\n${line}\r\n`);
    expect(parsed).toMatchObject({ value: new Map([["alice", { line }]]) });
    expect(parsePasswordFile("")).toEqual({ value: new Map() });
  });

  test.each([
    ["alice", "line 1: expected USER:HASH"],
    [":$2y$", "line 1: expected USER:HASH"],
    ["a\u202eb:x", "line 1: expected USER:HASH"],
    ["alice:x", "line 1 (alice):"],
  ])("%j is refused, by its line", (text, said) => {
    expect(parsePasswordFile(text)).toContain(said);
  });

  test("has nobody twice", async () => {
    const line = `alice:${await hash("x", 4)}`;
    expect(parsePasswordFile(`${line}\n${line}`)).toContain("line 2: alice is there twice");
  });
});

test("a groups file has the members of each group", () => {
  const parsed = parseGroupsFile("# groups\nml: alice bob\n\nops:alice\nml: carol alice\n");
  expect(parsed).toEqual({ value: new Map([["alice", ["ml", "ops"]], ["bob", ["ml"]], ["carol", ["ml"]]]) }); // prettier-ignore
  expect(parseGroupsFile("ml alice")).toContain("line 1");
});

describe("checks of passwords", () => {
  const NEVER = new AbortController().signal;

  test("are two at a time, in order, and a hundred may wait", async () => {
    const checks = createPasswordChecks();
    const open: (() => void)[] = [];
    let most = 0;
    const slow = async (): Promise<number> => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      open.push(() => resolve(undefined));
      most = Math.max(most, open.length);
      await promise;
      open.shift();
      return 1;
    };
    const all = Array.from({ length: 102 }, () => checks.run(slow, NEVER));
    await expect(checks.run(slow, NEVER)).rejects.toMatchObject({ code: "unavailable" });
    const done = Promise.all(all);
    while (open.length > 0) {
      open[0]?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await done).toHaveLength(102);
    expect(most).toBe(2);
  });

  test("give up their place when nobody waits for them any more, and lose none when they fail", async () => {
    const checks = createPasswordChecks();
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const running = [checks.run(() => promise, NEVER), checks.run(() => promise, NEVER)];
    const impatient = new AbortController();
    const waiting = checks.run(() => Promise.resolve(1), impatient.signal);
    impatient.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    resolve(undefined);
    await Promise.all(running);
    await expect(checks.run(() => Promise.reject(new Error("broken")), NEVER)).rejects.toThrow("broken");
    expect(await Promise.all([1, 2, 3, 4].map((n) => checks.run(() => Promise.resolve(n), NEVER)))).toEqual([
      1, 2, 3, 4,
    ]);
  });
});
