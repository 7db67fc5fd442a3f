import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GatewayError, Principal } from "../../model/index.ts";
import type { Authenticator, LoggedIn, RedirectLogin } from "./authenticator.ts";

/** What the suite needs of one way to log in by way of a provider's page, with the provider running behind it. */
export interface RedirectSubject extends AsyncDisposable {
  readonly authenticator: Authenticator;
  /** Who logs in. */
  readonly principal: Principal;
  /** Has the person log in at the address, and gives where the provider sends the browser. */
  visit(location: URL): Promise<URL>;
  /** From now on the provider says this of the person. */
  change(groups: readonly string[]): void;
  /** The provider knows them no more. */
  remove(): void;
  /** Of the gate, and of the person there: must be in no log and no error. */
  readonly secrets: readonly string[];
  logged(): string;
  readonly upstream: { stall(): void; fail(): void; recover(): void };
}

const REDIRECT_URI = "http://taskgate.localhost:7080/.taskgate/login/corp/callback";
const STATE = "a-state-that-nobody-could-guess-of-43-letters";

type Back = Parameters<RedirectLogin["complete"]>[0];

/** What every login by way of a provider's page promises; `start` is called for each test. */
export function describeRedirectLogin(name: string, start: () => Promise<RedirectSubject>): void {
  describe(`${name} login`, () => {
    let subject: RedirectSubject;
    beforeEach(async () => {
      subject = await start();
    });
    afterEach(() => subject[Symbol.asyncDispose]());

    const never = new AbortController().signal;
    const login = (): RedirectLogin => {
      const { interactive } = subject.authenticator;
      if (interactive?.kind !== "redirect") throw new Error("expected a login by way of a provider's page");
      return interactive;
    };
    const complete = (back: Back): Promise<LoggedIn> => login().complete(back, never);
    const recheck = (secret: string): Promise<LoggedIn> => {
      const { recheck: ask } = login();
      if (ask === undefined) throw new Error("expected a login that can be asked after");
      return ask(secret, never);
    };

    /** As far as the way back to the gate. */
    async function return_(): Promise<Back> {
      const { location, keep } = await login().begin({ redirectUri: REDIRECT_URI, state: STATE }, never);
      const address = await subject.visit(location);
      return { redirectUri: REDIRECT_URI, state: STATE, parameters: address.searchParams, keep };
    }

    test("says who came back, for how long, and what to ask with later", async () => {
      const found = await complete(await return_());
      expect(found.principal).toEqual(subject.principal);
      expect(found.principal.realm).toBe(subject.authenticator.realm);
      expect(found.lifetimeMs).toBeGreaterThan(0);
      expect(found.recheckMs).toBeGreaterThan(0);
    });

    test("sends browsers to the provider with the state, and with nothing that is the gate's alone", async () => {
      const { location, keep } = await login().begin({ redirectUri: REDIRECT_URI, state: STATE }, never);
      expect(location.searchParams.get("state")).toBe(STATE);
      expect(location.searchParams.get("redirect_uri")).toBe(REDIRECT_URI);
      const kept = Object.values(JSON.parse(keep) as Record<string, string>);
      for (const secret of subject.secrets) expect(location.href).not.toContain(secret);
      expect(kept.length).toBeGreaterThan(0);
    });

    test("proves nothing by a code that was used, that is made up, that is another's or that is missing", async () => {
      const [first, second] = [await return_(), await return_()];
      const changed = (name_: string, value: string | null): Back => {
        const parameters = new URLSearchParams(first.parameters);
        if (value === null) parameters.delete(name_);
        else parameters.set(name_, value);
        return { ...first, parameters };
      };
      const wrong = {
        "no code": changed("code", null),
        "a made-up code": changed("code", "x".repeat(43)),
        "another state": changed("state", "x".repeat(43)),
        "another login's verifier": { ...second, keep: first.keep },
      };
      for (const [what, back] of Object.entries(wrong)) {
        await expect(complete(back), what).rejects.toMatchObject({ code: "unauthenticated" });
      }
      const third = await return_();
      await complete(third);
      await expect(complete(third), "used").rejects.toMatchObject({ code: "unauthenticated" });
    });

    test("somebody who says no at the provider is denied, and a provider that fails there is no answer", async () => {
      const back = await return_();
      const saying = (error: string): Back => {
        const parameters = new URLSearchParams({ error, state: STATE });
        const issuer = back.parameters.get("iss");
        if (issuer !== null) parameters.set("iss", issuer);
        return { ...back, parameters };
      };
      await expect(complete(saying("access_denied"))).rejects.toMatchObject({ code: "denied" });
      await expect(complete(saying("server_error"))).rejects.toMatchObject({ code: "unavailable" });
    });

    test("goes by the groups of today when it is asked again, and by each answer's new secret", async () => {
      const { secret = "" } = await complete(await return_());
      subject.change(["other"]);
      const again = await recheck(secret);
      expect(again.principal).toMatchObject({ name: subject.principal.name, groups: [{ name: "other" }] });
      subject.change([]);
      expect((await recheck(again.secret ?? "")).principal.groups).toEqual([]);
    });

    test("refuses somebody whom the provider knows no more", async () => {
      const { secret = "" } = await complete(await return_());
      subject.remove();
      const error: unknown = await recheck(secret).catch((reason: unknown) => reason);
      expect(["unauthenticated", "denied"]).toContain((error as GatewayError).code);
    });

    test("is unavailable, and refuses nobody, while the provider is down: before, on the way back, and later", async () => {
      subject.upstream.fail();
      const begin = () => login().begin({ redirectUri: REDIRECT_URI, state: STATE }, never);
      await expect(begin()).rejects.toMatchObject({ code: "unavailable" });
      subject.upstream.recover();
      const back = await return_();
      subject.upstream.fail();
      await expect(complete(back)).rejects.toMatchObject({ code: "unavailable" });
      subject.upstream.recover();
      const { secret = "" } = await complete(await return_());
      subject.upstream.fail();
      await expect(recheck(secret)).rejects.toMatchObject({ code: "unavailable" });
      subject.upstream.recover();
      expect((await recheck(secret)).principal).toEqual(subject.principal);
    });

    test("gives up when it is told to while the provider is slow, and is unavailable when nobody tells it", async () => {
      const back = await return_();
      subject.upstream.stall();
      const impatient = new AbortController();
      const waiting = login().complete(back, impatient.signal);
      impatient.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow("enough");
      await expect(complete(back)).rejects.toMatchObject({ code: "unavailable" });
    });

    test("writes no secret to a log or into an error", async () => {
      const errors: unknown[] = [];
      const note = (error: unknown) => void errors.push(error);
      const back = await return_();
      const { secret = "" } = await complete(back);
      await complete(back).catch(note);
      subject.upstream.fail();
      await recheck(secret).catch(note);
      expect(errors).toHaveLength(2);
      const told = subject.logged() + errors.map((error) => `${String(error)} ${JSON.stringify(error)}`).join();
      const inside = Object.values(JSON.parse(secret) as Record<string, unknown>);
      const kept = inside.filter((part): part is string => typeof part === "string" && part.length > 20);
      for (const each of [...subject.secrets, back.parameters.get("code") ?? "", ...kept]) {
        expect(told).not.toContain(each);
      }
    });
  });
}
