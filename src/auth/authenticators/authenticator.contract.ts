import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Principal, RequestHead } from "../../model/index.ts";
import { makeHead } from "../testing/browser.ts";
import type { Authenticator } from "./authenticator.ts";

export type Headers = Readonly<Record<string, string>>;

/** What a suite needs of one authenticator, with whatever it asks running behind it. */
export interface AuthenticatorSubject extends AsyncDisposable {
  readonly authenticator: Authenticator;
  /** Whom `right` is of. */
  readonly principal: Principal;
  readonly right: Headers;
  /** Well-formed, of its kind, and of nobody. */
  readonly wrong: Headers;
  /** Was right once. */
  readonly expired: Headers;
  /** Of its kind, and not well-formed, by what is wrong with it. */
  readonly malformed: Readonly<Record<string, Headers>>;
  /** Credentials of other kinds, and none at all: they belong to somebody else. */
  readonly foreign: readonly Headers[];
  /** What must never be in a log. */
  readonly secrets: readonly string[];
  /** Everything that was logged so far. */
  logged(): string;
  /** null: it asks nobody, so that nothing can be slow or down. */
  readonly upstream: {
    /** Takes questions and answers none, until `recover`. */
    stall(): void;
    /** Fails at once, until `recover`. */
    fail(): void;
    recover(): void | Promise<void>;
  } | null;
}

/** What every authenticator promises; `start` is called for each test. */
export function describeAuthenticator(name: string, start: () => Promise<AuthenticatorSubject>): void {
  describe(`${name} authenticator`, () => {
    let subject: AuthenticatorSubject;
    beforeEach(async () => {
      subject = await start();
    });
    afterEach(() => subject[Symbol.asyncDispose]());

    const head = (headers: Headers): RequestHead => makeHead({ host: "nb.localhost:7080", headers });
    const ask = (headers: Headers, signal = new AbortController().signal) =>
      subject.authenticator.authenticate(head(headers), signal);

    /** What asks nobody has its answer before anything else can happen. */
    async function answersAtOnce(): Promise<void> {
      const later = new Promise<null>((resolve) => setImmediate(() => resolve(null)));
      expect((await Promise.race([ask(subject.right), later]))?.principal).toEqual(subject.principal);
    }

    test("says who somebody with the right credentials is, and until when", async () => {
      const { principal } = subject;
      const found = await ask(subject.right);
      expect(found?.principal).toEqual(principal);
      expect(found?.principal.realm).toBe(subject.authenticator.realm);
      expect(found?.expiresAt).toBeGreaterThan(0);
      expect(found?.id ?? "derived").toMatch(/^[A-Za-z0-9-]{1,64}$/);
    });

    test("gives the same answer twice", async () => {
      expect((await ask(subject.right))?.principal).toEqual((await ask(subject.right))?.principal);
    });

    test("refuses wrong, expired and malformed credentials, each with a reason", async () => {
      for (const headers of [subject.wrong, subject.expired, ...Object.values(subject.malformed)]) {
        await expect(ask(headers), JSON.stringify(headers)).rejects.toMatchObject({ code: "unauthenticated" });
      }
    });

    test("has nothing to say where nothing of its kind was shown", async () => {
      for (const headers of [{}, ...subject.foreign]) {
        expect(await ask(headers)).toBeNull();
        expect(subject.authenticator.recognises(head(headers))).toEqual([]);
      }
    });

    test("recognises what is of its kind even when it refuses it", () => {
      for (const headers of [subject.right, subject.wrong, subject.expired, ...Object.values(subject.malformed)]) {
        expect(subject.authenticator.recognises(head(headers)), JSON.stringify(headers)).toEqual(
          expect.arrayContaining(Object.keys(headers)),
        );
      }
    });

    test("recognises by names in lower case, without asking anybody", () => {
      subject.upstream?.fail();
      const names = subject.authenticator.recognises(head(subject.right));
      expect(names.length).toBeGreaterThan(0);
      expect(names).toEqual(names.map((each) => each.toLowerCase()));
    });

    test("is unavailable, and refuses nobody, while what it asks is down", async () => {
      const { upstream } = subject;
      if (upstream === null) return answersAtOnce();
      upstream.fail();
      for (const headers of [subject.right, subject.wrong]) {
        await expect(ask(headers)).rejects.toMatchObject({ code: "unavailable" });
      }
      await upstream.recover();
      expect((await ask(subject.right))?.principal).toEqual(subject.principal);
      await expect(ask(subject.wrong)).rejects.toMatchObject({ code: "unauthenticated" });
    });

    test("gives up when it is told to while what it asks is slow, and refuses nobody", async () => {
      const { upstream } = subject;
      if (upstream === null) return answersAtOnce();
      upstream.stall();
      const impatient = new AbortController();
      const waiting = ask(subject.right, impatient.signal);
      impatient.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow("enough");
      await upstream.recover();
      expect((await ask(subject.right))?.principal).toEqual(subject.principal);
    });

    test("writes no credential to a log or into an error", async () => {
      const errors: unknown[] = [];
      const attempt = (headers: Headers) => ask(headers).catch((error: unknown) => errors.push(error));
      for (const headers of [subject.right, subject.wrong, subject.expired, ...Object.values(subject.malformed)]) {
        await attempt(headers);
      }
      subject.upstream?.fail();
      await attempt(subject.right);
      expect(errors.length).toBeGreaterThan(0);
      const told = subject.logged() + errors.map((error) => `${String(error)} ${JSON.stringify(error)}`).join();
      for (const secret of subject.secrets) expect(told).not.toContain(secret);
    });
  });
}
