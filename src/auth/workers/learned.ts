import { hash } from "node:crypto";
import type { Principal, RequestHead, Route, Session } from "../../model/index.ts";
import {
  type CredentialForm,
  isAmbient,
  isForOnce,
  recognisedBy,
  reservedBy,
  speakingHead,
} from "../authenticators/credential-forms.ts";
import { OWN_AUTHORIZATION } from "../authenticators/token-fields.ts";
import type { Clock } from "../../platform/clock.ts";
import { mayUse } from "../access.ts";
import type { ShownAssertions } from "../assertions.ts";
import type { Challenges, Credentials, Shown } from "../credentials.ts";
import { Lru } from "../lru.ts";
import type { Permissions } from "../permissions.ts";

/** So much older than in the gate itself an answer of somebody else's may get here. */
const KEEP_MS = 1000;
const MAX_KEPT = 10_000;

/** What the gate's answers tell a worker about credentials in headers, kept for one second. */
export interface LearnedCredentials extends Pick<
  Credentials,
  "challenges" | "isAmbient" | "peek" | "recognised" | "reserved"
> {
  /** The gate let `shown` in who sent this. */
  learn(head: RequestHead, shown: Shown): void;
  /** Makes all that is kept void. */
  forget(): void;
}

/** There is nothing to close. */
export function createLearnedCredentials(
  forms: readonly CredentialForm[],
  challenges: Challenges,
  clock: Clock,
): LearnedCredentials {
  const kept = new Lru<{ readonly shown: Shown; readonly until: number }>(MAX_KEPT);
  /** null: nothing was shown. */
  const keyOf = (request: RequestHead): string | null => {
    const head = speakingHead(request);
    const names = recognisedBy(forms, head);
    const shown = names.map((name) => [name, head.header(name)]);
    return names.length === 0 ? null : hash("sha256", JSON.stringify(shown));
  };
  return {
    challenges,
    recognised: (head) => recognisedBy(forms, head),
    reserved: (head) => reservedBy(forms, head),
    isAmbient: (head) => isAmbient(forms, speakingHead(head)),
    peek(head) {
      const key = keyOf(head);
      if (key === null) return head.header(OWN_AUTHORIZATION) === undefined ? null : "ask";
      const found = kept.get(key);
      return found !== undefined && clock.now() < found.until ? found.shown : "ask";
    },
    learn(head, shown) {
      const key = keyOf(head);
      if (key === null || isForOnce(forms, head)) return;
      kept.set(key, { shown, until: Math.min(clock.now() + KEEP_MS, shown.expiresAt) });
    },
    forget: () => kept.clear(),
  };
}

/** What the gate said to jobs of who shows credentials in headers, kept for one second. */
export interface LearnedAssertions extends ShownAssertions {
  learn(route: Route, session: Session): void;
}

/** There is nothing to close. */
export function createLearnedAssertions(clock: Clock): LearnedAssertions {
  const kept = new Lru<{ readonly assertion: string; readonly until: number }>(MAX_KEPT);
  const keyOf = ({ service, policy }: Route, id: string): string => JSON.stringify([id, service, policy.assertion]);
  return {
    of(route, { id }) {
      const found = kept.get(keyOf(route, id));
      return found !== undefined && clock.now() < found.until ? found.assertion : undefined;
    },
    learn(route, { id, assertion }) {
      if (assertion !== undefined) kept.set(keyOf(route, id), { assertion, until: clock.now() + KEEP_MS });
    },
  };
}

/** Who may use which route: by the route itself, and for one second by what an authority was found to say. */
export interface LearnedPermissions extends Pick<Permissions, "peek"> {
  /** The gate let this principal in. */
  learn(route: Route, principal: Principal): void;
}

/** There is nothing to close. */
export function createLearnedPermissions(clock: Clock): LearnedPermissions {
  const kept = new Lru<number>(MAX_KEPT);
  return {
    peek(route, principal) {
      const verdict = mayUse(route, principal, clock.now());
      if (verdict !== "authority") return verdict === "allowed";
      return clock.now() < (kept.get(questionOf(route, principal)) ?? 0) ? true : undefined;
    },
    learn(route, principal) {
      if (mayUse(route, principal, clock.now()) !== "authority") return;
      kept.set(questionOf(route, principal), clock.now() + KEEP_MS);
    },
  };
}

function questionOf({ access }: Route, { realm, name, groups }: Principal): string {
  return JSON.stringify([access.authority, realm, name, groups]);
}
