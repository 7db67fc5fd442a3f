import { sameIdentity, type Identity } from "./identity.ts";

export type Anyone = "nobody" | "authenticated" | "public";

/** Realm of whoever came by a link: their name is the grant's id. Nothing else vouches for anybody of this realm. */
export const LINK_REALM = "link";

export interface Grant {
  /** `link`: id of the grant that the link belongs to. */
  readonly to: Identity | { readonly group: Identity } | { readonly link: string };
  /** Epoch ms; absent means until it is taken back. */
  readonly until?: number;
  readonly by: Identity;
}

/** The owner and administrators always may. Everything else is a grant. */
export interface Access {
  readonly grants: readonly Grant[];
  readonly anyone: Anyone;
  /** Someone else decides. A new epoch makes earlier answers void. */
  readonly authority?: {
    readonly name: string;
    readonly resource: string;
    readonly action: string;
    readonly epoch: string;
  };
}

/** The very task that something was given to: a later one of the same id, or one of another owner, gets none of it. */
export interface SharedTask {
  readonly instance: string | undefined;
  readonly owner: Identity | null;
}

/** What was given to a task, or to one service of it, beside what its provider says. */
export interface Opening {
  readonly task: SharedTask;
  /** null: every service of the task. */
  readonly service: string | null;
  readonly access: Pick<Access, "grants" | "anyone">;
}

/** Whether that is the same task, and not merely one of the same id. */
export function sameTask(one: SharedTask, other: SharedTask): boolean {
  if (one.instance !== other.instance || one.owner === null || other.owner === null) {
    return one.instance === other.instance && one.owner === other.owner;
  }
  return sameIdentity(one.owner, other.owner);
}

/** The closed default: the owner and administrators, nobody else. */
export const OWNER_ONLY: Access = Object.freeze({ grants: Object.freeze([]), anyone: "nobody" });
