import { whoText, type Anyone, type Identity, type SharedTask, type Who } from "../model/index.ts";

/** Whom something is given to: a user, a group, whoever has a link, or everybody. */
export type Recipient =
  | Who
  | { readonly link: true }
  /** `authenticated`: everybody who logged in; `public`: everybody. */
  | { readonly anyone: Exclude<Anyone, "nobody"> };

/** Something that was given, as it may be shown. */
export interface KeptGrant {
  /** Public. */
  readonly id: string;
  /** null: every service of the task. */
  readonly service: string | null;
  readonly to: Recipient;
  /** Epoch ms; null: until it is taken back. */
  readonly until: number | null;
  readonly by: Identity;
  /** Epoch ms. */
  readonly createdAt: number;
}

/** A task that something is given to: `key` is `provider/task`. */
export interface GrantedTask extends SharedTask {
  readonly key: string;
}

export type GrantRequest = Pick<KeptGrant, "service" | "to" | "until">;

/** A grant to who has a link, and what tells a right link from a wrong one. */
export interface LinkGrant {
  readonly taskKey: string;
  readonly grant: KeptGrant;
  /** SHA-256 of the link's text. */
  readonly hash: string;
  /** Signs what the link is exchanged for. */
  readonly key: string;
}

/** Who changed what, and when; `grant` is as it was after that, or before it was taken back. */
export interface GrantChange {
  /** Epoch ms. */
  readonly at: number;
  readonly by: Identity;
  readonly did: "gave" | "changed" | "took";
  readonly grant: KeptGrant;
}

/** `group:corp/ml`, `corp/alice`, `link`, `authenticated`, `public`: what no other recipient is called. */
export function recipientText(to: Recipient): string {
  if ("anyone" in to) return to.anyone;
  return "link" in to ? "link" : whoText(to);
}
