import type { RequestHead } from "../../model/index.ts";

/** For use beside an `Authorization` of the app's own; always the gate's, and where it is there it alone says who speaks. */
export const OWN_AUTHORIZATION = "x-taskgate-authorization";

/** A token of a gate anywhere in the field, whatever the scheme: repeated fields arrive joined, and a job must see none of them. */
const HOLDS_TOKEN = /(?:^|[\s,])bearer\s+tg_|(?:^|[^a-z0-9])tg_[a-z2-7]{12}_/i;

/** Whether a field's value has a token of a gate in it. */
export function holdsToken(field: string): boolean {
  return HOLDS_TOKEN.test(field);
}

/** Names of the fields that hold a token of a gate: what the authenticator of tokens recognises. */
export function tokenFields(head: RequestHead): readonly string[] {
  return [OWN_AUTHORIZATION, "authorization"].filter((name) => holdsToken(head.header(name) ?? ""));
}
