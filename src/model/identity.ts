/** Who someone is, and who said so: alice of one realm is not alice of another. */
export interface Identity {
  readonly realm: string;
  readonly name: string;
}

/** Somebody who proved who they are. Administrators may use every route. */
export interface Principal extends Identity {
  readonly groups: readonly Identity[];
  readonly admin: boolean;
}

/** Whether two identities are the same one: realm and name, both to the letter. */
export function sameIdentity(a: Identity, b: Identity): boolean {
  return a.realm === b.realm && a.name === b.name;
}
