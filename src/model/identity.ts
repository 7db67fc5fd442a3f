import type { Scope } from "./scope.ts";

/** Who someone is, and who said so: alice of one realm is not alice of another. */
export interface Identity {
  readonly realm: string;
  readonly name: string;
}

/** Somebody who proved who they are. Administrators may use every route. */
export interface Principal extends Identity {
  readonly groups: readonly Identity[];
  readonly admin: boolean;
  /** The part of what they may do that the credential which they showed stands for; absent: all of it. */
  readonly scope?: Scope;
}

/** A principal and nothing beside it, to keep or to pass on: what is written by hand may forget the scope. */
export function copyPrincipal({ realm, name, groups, admin, scope }: Principal): Principal {
  return { realm, name, groups, admin, ...(scope === undefined ? {} : { scope }) };
}

/** An identity and nothing beside it: a principal is one, and may carry more than is to be kept. */
export function copyIdentity({ realm, name }: Identity): Identity {
  return { realm, name };
}

/** Whether two identities are the same one: realm and name, both to the letter. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.realm === b.realm && a.name === b.name;
}
