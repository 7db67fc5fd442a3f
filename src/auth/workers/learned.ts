import { hash } from "node:crypto";
import type { Principal, RequestHead, Route } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { mayUse } from "../access.ts";
import type { Credentials, Shown } from "../credentials.ts";
import { Lru } from "../lru.ts";
import type { Permissions } from "../permissions.ts";

/** So much older than in the gate itself an answer of somebody else's may get here. */
const KEEP_MS = 1000;
const MAX_KEPT = 10_000;

/** Names of the header fields of a request that hold credentials of one kind. */
export type Recognise = (head: RequestHead) => readonly string[];

/** What the gate's answers tell a worker about credentials in headers, kept for one second. */
export interface LearnedCredentials extends Pick<Credentials, "challenge" | "peek" | "recognised"> {
  /** The gate let `shown` in who sent this. */
  learn(head: RequestHead, shown: Shown): void;
  /** Makes all that is kept void. */
  forget(): void;
}

/** There is nothing to close. */
export function createLearnedCredentials(
  recognisers: readonly Recognise[],
  challenge: string,
  clock: Clock,
): LearnedCredentials {
  const kept = new Lru<{ readonly shown: Shown; readonly until: number }>(MAX_KEPT);
  const recognised = (head: RequestHead): readonly string[] => recognisers.flatMap((recognise) => recognise(head));
  return {
    challenge,
    recognised,
    peek(head) {
      const names = recognised(head);
      if (names.length === 0) return null;
      const found = kept.get(keyOf(names, head));
      return found !== undefined && clock.now() < found.until ? found.shown : "ask";
    },
    learn(head, shown) {
      const names = recognised(head);
      if (names.length === 0) return;
      kept.set(keyOf(names, head), { shown, until: Math.min(clock.now() + KEEP_MS, shown.expiresAt) });
    },
    forget: () => kept.clear(),
  };
}

function keyOf(names: readonly string[], head: RequestHead): string {
  return hash("sha256", JSON.stringify(names.map((name) => [name, head.header(name)])));
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
