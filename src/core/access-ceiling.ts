import { sameIdentity, whoText, type Access, type Anyone, type Grant, type Identity } from "../model/index.ts";
import { ANYONE } from "./read-access.ts";

/** The most that owners and providers may give to others: the administrator's word, from the section `access` of the configuration. */
export interface Ceiling {
  readonly anyone: Anyone;
  /** Whether a secret link may let anybody in who has it. */
  readonly links: boolean;
  /** Ms from now; absent: for ever. */
  readonly longestGrant?: number | undefined;
  readonly longestLink?: number | undefined;
  /** Realms of users and groups that may be given anything; absent: all. */
  readonly realms?: readonly string[] | undefined;
  /** Groups that may be; absent: all. */
  readonly groups?: readonly Identity[] | undefined;
}

export const NO_REFUSALS: readonly string[] = Object.freeze([]);
const MAX_REFUSALS = 8;

/** Why services may not be as open as that, with what to do; null: they may. */
export function anyoneRefusal(anyone: Anyone, ceiling: Pick<Ceiling, "anyone">): string | null {
  if (ANYONE.indexOf(anyone) <= ANYONE.indexOf(ceiling.anyone)) return null;
  return `Its access is for ${anyone}; the most that is allowed here is ${ceiling.anyone} (access.ceiling). Ask for less, or ask an administrator to raise it.`; // prettier-ignore
}

/** Why nobody may be given this at `now` (epoch ms), with what to do; null: it may be given. */
export function grantRefusal(grant: Pick<Grant, "to" | "until">, ceiling: Ceiling, now: number): string | null {
  return granteeRefusal(grant.to, ceiling) ?? lifetimeRefusal(grant, ceiling, now);
}

/** Why it may not last that long at `now` (epoch ms), with what to do; null: it may. */
export function lifetimeRefusal(
  { to, until }: Pick<Grant, "to" | "until">,
  ceiling: Ceiling,
  now: number,
): string | null {
  const longest = "link" in to ? ceiling.longestLink : ceiling.longestGrant;
  if (longest === undefined || (until !== undefined && until <= now + longest)) return null;
  const [what, key] = "link" in to ? ["a link", "access.longestLink"] : ["a grant", "access.longestGrant"];
  return `The longest that ${what} may last here is ${durationText(longest)} (${key}). Give it for that long at most.`;
}

/** What is left of an access below the ceiling: the same object where all of it is; and why the rest is not. */
export function withinCeiling(
  access: Access,
  ceiling: Ceiling,
  now: number,
): { readonly access: Access; readonly refusals: readonly string[] } {
  const tooOpen = anyoneRefusal(access.anyone, ceiling);
  if (tooOpen === null && access.grants.length === 0) return { access, refusals: NO_REFUSALS };
  const refusals = new Set<string>();
  if (tooOpen !== null) refusals.add(tooOpen);
  const grants = access.grants.filter((grant) => {
    const refusal = grantRefusal(grant, ceiling, now);
    if (refusal !== null) refusals.add(`A grant is left out: ${refusal}`);
    return refusal === null;
  });
  if (refusals.size === 0) return { access, refusals: NO_REFUSALS };
  const anyone = tooOpen === null ? access.anyone : ceiling.anyone;
  return { access: Object.freeze({ ...access, grants, anyone }), refusals: [...refusals].slice(0, MAX_REFUSALS) };
}

/** All of them together: none takes away from another. The first where the others add nothing. */
export function addAccess(access: Access, more: readonly Pick<Access, "grants" | "anyone">[]): Access {
  const grants = more.flatMap((each) => each.grants);
  const anyone = more.reduce((open, each) => mostOpen(open, each.anyone), access.anyone);
  if (grants.length === 0 && anyone === access.anyone) return access;
  return { ...access, grants: [...access.grants, ...grants], anyone };
}

function mostOpen(one: Anyone, other: Anyone): Anyone {
  return ANYONE.indexOf(one) >= ANYONE.indexOf(other) ? one : other;
}

function granteeRefusal(to: Grant["to"], ceiling: Ceiling): string | null {
  if ("link" in to) {
    return ceiling.links ? null : "Links are not allowed here (access.links). Share with users or groups instead.";
  }
  const identity = "group" in to ? to.group : to;
  const { realm } = identity;
  if (ceiling.realms !== undefined && !ceiling.realms.includes(realm)) {
    return `${whoText(to)} is of realm ${realm}; here one shares with ${list(ceiling.realms)} alone (access.realms).`;
  }
  if (!("group" in to) || ceiling.groups === undefined) return null;
  if (ceiling.groups.some((group) => sameIdentity(group, identity))) return null;
  const groups = ceiling.groups.map((group) => whoText({ group }));
  return `${whoText(to)} is no group that one shares with here; expected ${list(groups)} (access.groups).`;
}

function list(texts: readonly string[]): string {
  return texts.length === 0 ? "nobody" : texts.slice(0, 8).join(", ");
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
] as const;

/** As config spells it: the largest unit that leaves nothing over. */
function durationText(ms: number): string {
  const unit = UNITS.find(([, length]) => ms % length === 0);
  return unit === undefined ? `${String(ms)}ms` : `${String(ms / unit[1])}${unit[0]}`;
}
