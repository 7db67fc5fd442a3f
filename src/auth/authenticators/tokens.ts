import { GatewayError, type RequestHead } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { abortable } from "../answers.ts";
import type { LoginLimit } from "../login-limit.ts";
import { looksLikeToken, type Tokens } from "../tokens.ts";
import type { Authenticator } from "./authenticator.ts";
import { type CredentialForm, shownAuthorization } from "./credential-forms.ts";
import { holdsToken, tokenFields } from "./token-fields.ts";

/** A token without end is asked for again after a day, so that nothing that it opened stays open for ever without a look. */
const RECHECK_MS = 86_400_000;

const FORMS: readonly CredentialForm[] = Object.freeze([{ form: "token" }]);

/** RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1). */
const BEARER = /^bearer +([^\s,]+)$/i;

/** Tokens that this gate issued: `Authorization: Bearer tg_…` and `X-Taskgate-Authorization: Bearer tg_…`. */
export function createTokensAuthenticator(deps: {
  readonly tokens: Tokens;
  readonly realm: string;
  readonly limit: Pick<LoginLimit, "count">;
  readonly clock: Clock;
}): Authenticator {
  const { tokens, realm, limit, clock } = deps;
  return {
    name: "tokens",
    realm,
    challenge: 'Bearer realm="taskgate"',
    forms: FORMS,
    recognises: tokenFields,
    async authenticate(head, signal) {
      const shown = shownToken(head);
      if (shown === null) return null;
      const by = { method: "tokens", peer: head.peer, account: idIn(shown) };
      const grounds = await abortable(
        limit.count(by, () => tokens.verify(shown)),
        signal,
      );
      return {
        principal: grounds.principal,
        id: grounds.id,
        expiresAt: grounds.expiresAt ?? clock.now() + RECHECK_MS,
      };
    },
  };
}

/** What of a token is public. */
function idIn(token: string): string {
  return token.slice(0, 15);
}

/** null: no field of ours. Throws `unauthenticated` for one that is ours and holds no token as it should. */
function shownToken(head: RequestHead): string | null {
  const field = shownAuthorization(head);
  if (field === undefined || !holdsToken(field)) return null;
  const token = BEARER.exec(field)?.[1];
  if (token !== undefined && looksLikeToken(token)) return token;
  throw new GatewayError("unauthenticated", "this is no token of this gate: expected Bearer tg_…");
}
