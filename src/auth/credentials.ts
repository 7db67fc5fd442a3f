import { createHmac, randomBytes } from "node:crypto";
import { GatewayError, type HeaderFields, type Principal, type RequestHead } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { abortable, type Answers, createAnswers } from "./answers.ts";
import type { Authenticator } from "./authenticators/authenticator.ts";
import { type CredentialForm, isAmbient, reservedBy, speakingHead } from "./authenticators/credential-forms.ts";
import { OWN_AUTHORIZATION } from "./authenticators/token-fields.ts";

/** Where an authenticator does not say. */
const KEEP_MS = 5_000;
const TIME_MS = 10_000;
const MAX_KEPT = 10_000;

/** Somebody who showed who they are in a request's headers. */
export interface Shown {
  readonly principal: Principal;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** Of the credential; public. */
  readonly id: string;
  /** Name of the authenticator. */
  readonly proof: string;
  readonly respond: HeaderFields;
}

/** All authenticators, in order. The first that recognises something answers for the request: no second opinion after a refusal. */
export interface Credentials {
  /** Names of headers that hold credentials of any of them. */
  recognised(head: RequestHead): readonly string[];
  /** Names of headers that no job sees, whoever sent them, beside those. */
  reserved(head: RequestHead): readonly string[];
  /** Whether a browser may have sent what was shown by itself, so that a page of another site may be behind the request. */
  isAmbient(head: RequestHead): boolean;
  /** What is known without asking: null where nothing was shown. */
  peek(head: RequestHead): Shown | "ask" | null;
  /** null: nothing was shown. Throws `unauthenticated`, `unavailable` and the signal's reason. */
  authenticate(head: RequestHead, signal: AbortSignal): Promise<Shown | null>;
  /** Of all of them: what `recognised` goes by. */
  readonly forms: readonly CredentialForm[];
  /** What WWW-Authenticate says to who showed nothing. */
  readonly challenges: Challenges;
  /** Makes all that is kept void. */
  forget(): void;
}

/** A browser asks its person for a password where a challenge wants one, whatever page it is on: that is for programs alone. */
export interface Challenges {
  readonly programs: string;
  /** For programs on the gate's own host. */
  readonly programsAtGate: string;
  readonly browsers: string;
}

/** The challenge for who sent this, to a service or to the gate's own host; empty: none. */
export function challengeFor(challenges: Challenges, head: RequestHead, to: "service" | "gate" = "service"): string {
  const fromBrowser =
    head.header("sec-fetch-mode") !== undefined || (head.header("user-agent") ?? "").startsWith("Mozilla/");
  if (fromBrowser) return challenges.browsers;
  return to === "gate" ? challenges.programsAtGate : challenges.programs;
}

/**
 * `current`: who a principal is today; null: nobody any more. Answers are kept as long as their authenticator says, under a keyed hash of
 * what was shown. There is nothing to close.
 */
export function createCredentials(
  authenticators: readonly Authenticator[],
  clock: Clock,
  current: (principal: Principal) => Principal | null = (principal) => principal,
): Credentials {
  const answering = authenticators.map((authenticator) => ({
    authenticator,
    answers: answersOf(authenticator, clock),
  }));
  const key = randomBytes(32);
  const forms = authenticators.flatMap((each) => each.forms);

  function addressee(request: RequestHead): Addressee | null {
    const head = speakingHead(request);
    for (const { authenticator, answers } of answering) {
      const names = authenticator.recognises(head);
      if (names.length > 0) return { authenticator, answers, key: keyOf(key, head, names), head };
    }
    return null;
  }

  return {
    challenges: challengesOf(authenticators),
    forms,
    recognised: (head) => authenticators.flatMap((each) => each.recognises(head)),
    reserved: (head) => reservedBy(forms, head),
    isAmbient: (head) => isAmbient(forms, speakingHead(head)),
    peek(head) {
      const found = addressee(head);
      if (found === null) return head.header(OWN_AUTHORIZATION) === undefined ? null : "ask";
      return found.answers.peek(found.key) ?? "ask";
    },
    async authenticate(head, signal) {
      const found = addressee(head);
      if (found !== null) return found.answers.ask(found.key, (limit) => askOne({ ...found, current }, limit), signal);
      if (head.header(OWN_AUTHORIZATION) === undefined) return null;
      throw new GatewayError(
        "unauthenticated",
        `${OWN_AUTHORIZATION}: nothing that this gate knows; expected Bearer tg_…`,
      );
    },
    forget() {
      for (const { answers } of answering) answers.forget();
    },
  };
}

function answersOf({ name, keepMs = KEEP_MS }: Authenticator, clock: Clock): Answers<Shown | null> {
  return createAnswers({
    ...{ clock, keepMs, timeMs: TIME_MS, max: MAX_KEPT },
    of: `login method ${name}`,
    goodUntil: (shown) => shown?.expiresAt ?? 0,
  });
}

/** Whom a request is for, and what of it is. */
interface Addressee {
  readonly authenticator: Authenticator;
  readonly answers: Answers<Shown | null>;
  readonly key: string;
  readonly head: RequestHead;
}

async function askOne(
  { authenticator, key, head, current }: Addressee & { readonly current: (principal: Principal) => Principal | null },
  signal: AbortSignal,
): Promise<Shown | null> {
  try {
    const found = await abortable(authenticator.authenticate(head, signal), signal);
    if (found === null) return null;
    const principal = current(found.principal);
    if (principal === null) throw new GatewayError("unauthenticated", "this is for somebody who is not known here");
    const { expiresAt, id = `${authenticator.name}-${key.slice(0, 24)}`, respond = [] } = found;
    return { principal, expiresAt, id, proof: authenticator.name, respond };
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError("unavailable", `${authenticator.name} failed`, { cause: error });
  }
}

function challengesOf(authenticators: readonly Authenticator[]): Challenges {
  const of = (some: readonly Authenticator[]): readonly string[] => some.flatMap((each) => each.challenge ?? []);
  const programs = of(authenticators);
  const atGate = authenticators.flatMap((each) => each.challengeAtGate ?? []);
  return {
    programs: programs.join(", "),
    programsAtGate: [...programs, ...atGate].join(", "),
    browsers: of(authenticators.filter((each) => !each.challengesPeople)).join(", "),
  };
}

/** By a key of this process's own: what is kept of a password, and the public ids that are made of it, say nothing about it. */
function keyOf(key: Buffer, head: RequestHead, names: readonly string[]): string {
  const shown = names.map((name) => [name, head.header(name)]);
  return createHmac("sha256", key).update(JSON.stringify(shown)).digest("hex");
}
