import { GatewayError, type RequestHead } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { abortable } from "../answers.ts";
import { looksLikeToken, type Tokens } from "../tokens.ts";
import type { Authenticator } from "./authenticator.ts";

/** For use beside an `Authorization` of the app's own; always the gate's, and it counts before the other. */
const OWN_AUTHORIZATION = "x-taskgate-authorization";

/** A token without end is asked for again after a day, so that nothing that it opened stays open for ever without a look. */
const RECHECK_MS = 86_400_000;

/** RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1). */
const BEARER = /^bearer +([^\s,]+)$/i;

/** A token of a gate anywhere in the field, whatever the scheme: repeated fields arrive joined, and a job must see none of them. */
const HOLDS_TOKEN = /(?:^|[\s,])bearer\s+tg_|(?:^|[^a-z0-9])tg_[a-z2-7]{12}_/i;

/** Tokens that this gate issued: `Authorization: Bearer tg_…` and `X-Taskgate-Authorization: Bearer tg_…`. */
export function createTokensAuthenticator(deps: {
  readonly tokens: Tokens;
  readonly realm: string;
  readonly clock: Clock;
}): Authenticator {
  const { tokens, realm, clock } = deps;
  return {
    name: "tokens",
    realm,
    challenge: 'Bearer realm="taskgate"',
    recognises(head) {
      const own = head.header(OWN_AUTHORIZATION) === undefined ? [] : [OWN_AUTHORIZATION];
      return HOLDS_TOKEN.test(head.header("authorization") ?? "") ? [...own, "authorization"] : own;
    },
    async authenticate(head, signal) {
      const shown = shownToken(head);
      if (shown === null) return null;
      const grounds = await abortable(tokens.verify(shown), signal);
      return {
        principal: grounds.principal,
        id: grounds.id,
        expiresAt: grounds.expiresAt ?? clock.now() + RECHECK_MS,
      };
    },
  };
}

/** null: no field of ours. Throws `unauthenticated` for one that is ours and holds no token. */
function shownToken(head: RequestHead): string | null {
  const own = head.header(OWN_AUTHORIZATION);
  const field = own ?? head.header("authorization");
  if (field === undefined || (own === undefined && !HOLDS_TOKEN.test(field))) return null;
  const token = BEARER.exec(field)?.[1];
  if (token !== undefined && looksLikeToken(token)) return token;
  throw new GatewayError("unauthenticated", "this is no token of this gate: expected Bearer tg_…");
}
