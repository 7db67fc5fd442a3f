import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Principal } from "../model/index.ts";
import type { Authority } from "./authority.ts";

export interface AuthorityQuestion {
  readonly principal: Principal;
  readonly resource: string;
  readonly action: string;
}

/** What a suite needs of one authority, with the server that it asks running. */
export interface AuthoritySubject extends AsyncDisposable {
  readonly authority: Authority;
  readonly allowed: AuthorityQuestion;
  /** Each differs from `allowed` in one thing: the name, the realm, the resource, the action. */
  readonly refused: readonly AuthorityQuestion[];
  readonly server: {
    /** Takes questions and answers none, until `recover`. */
    stall(): void;
    /** Ways to answer that are no answer: errors, other formats, half of one. */
    readonly oddities: readonly string[];
    beOdd(how: string): void;
    /** Is not there at all, until `recover`. */
    stop(): Promise<void>;
    recover(): Promise<void>;
  };
}

/** What every authority promises; `start` is called for each test. */
export function describeAuthority(name: string, start: () => Promise<AuthoritySubject>): void {
  describe(`${name} authority`, () => {
    let subject: AuthoritySubject;
    beforeEach(async () => {
      subject = await start();
    });
    afterEach(() => subject[Symbol.asyncDispose]());

    const ask = (question: AuthorityQuestion, signal = new AbortController().signal): Promise<boolean> =>
      subject.authority.allows(question.principal, question.resource, question.action, signal);

    test("says yes to what is allowed, and no to what is not", async () => {
      expect(await ask(subject.allowed)).toBe(true);
      expect(subject.refused.length).toBeGreaterThanOrEqual(4);
      for (const question of subject.refused) expect(await ask(question), JSON.stringify(question)).toBe(false);
    });

    test("takes names for what they are, whatever characters are in them", async () => {
      const odd = ["../", "?x=1", "#", "a b", "é", "\u0000", '"', "\r\nx: y"];
      for (const text of odd) {
        expect(await ask({ ...subject.allowed, resource: subject.allowed.resource + text })).toBe(false);
        const principal = { ...subject.allowed.principal, name: subject.allowed.principal.name + text };
        expect(await ask({ ...subject.allowed, principal })).toBe(false);
      }
    });

    test("is unavailable, which is neither yes nor no, while nobody is there", async () => {
      await subject.server.stop();
      for (const question of [subject.allowed, ...subject.refused]) {
        await expect(ask(question)).rejects.toMatchObject({ code: "unavailable" });
      }
      await subject.server.recover();
      expect(await ask(subject.allowed)).toBe(true);
    });

    test("is unavailable when what comes back is no answer", async () => {
      for (const how of subject.server.oddities) {
        subject.server.beOdd(how);
        await expect(ask(subject.allowed), how).rejects.toMatchObject({ code: "unavailable" });
      }
      await subject.server.recover();
      expect(await ask(subject.allowed)).toBe(true);
    });

    test("waits no longer than it is told to", async () => {
      subject.server.stall();
      const impatient = new AbortController();
      const waiting = ask(subject.allowed, impatient.signal);
      impatient.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow();
      await expect(waiting).rejects.not.toMatchObject({ code: "denied" });
      await subject.server.recover();
      expect(await ask(subject.allowed)).toBe(true);
    });
  });
}
