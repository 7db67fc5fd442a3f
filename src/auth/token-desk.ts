import type { LoginConfig } from "../config/schema.ts";
import {
  copyPrincipal,
  GatewayError,
  isServicePattern,
  MAX_SCOPE_SERVICES,
  type Scope,
  whoText,
} from "../model/index.ts";
import type { Caller } from "./login.ts";
import type { NewToken, Tokens, TokenView } from "./tokens.ts";

/** Of names that are nobody's: only administrators give them tokens. */
const SERVICE_REALM = "service";

/** What somebody wants a token for. */
export interface TokenWish {
  readonly name: string;
  /** Absent: `login.tokens.lifetime`. */
  readonly lifetimeMs?: number | undefined;
  /** Absent: all that who it is for may do. */
  readonly scope?: Scope | undefined;
  /** A service account, for whose name the token is. Absent: who asks. */
  readonly account?: string | undefined;
}

/** Tokens for programs, as people ask for them. All may throw `unavailable`. */
export interface TokenDesk {
  /** Throws `denied`, `bad_request` and `conflict`. */
  issue(caller: Caller, wish: TokenWish): Promise<NewToken>;
  /** Issued ones and browsers' logins: one's own, an administrator's are everybody's. Throws `denied`. */
  list(caller: Caller): Promise<readonly TokenView[]>;
  /** Ends what it opened, too. Throws `not_found`, also for those of others, and `denied`. */
  revoke(id: string, caller: Caller): Promise<void>;
}

/** There is nothing to close. */
export function createTokenDesk(tokens: Tokens, { tokens: bounds }: Pick<LoginConfig, "tokens">): TokenDesk {
  return {
    async issue(caller, { name, account, scope, lifetimeMs = bounds.lifetime }) {
      needUnscoped(caller);
      if (lifetimeMs > bounds.maxLifetime) {
        const days = String(Math.floor(bounds.maxLifetime / 86_400_000));
        throw new GatewayError(
          "bad_request",
          `lifetimeMs: tokens are good for ${days} days at most (login.tokens.maxLifetime)`,
        );
      }
      if (account !== undefined && !caller.admin) {
        throw new GatewayError("denied", "account: only administrators make tokens for service accounts");
      }
      const own = account === undefined ? copyPrincipal(caller) : serviceAccount(account);
      const principal = scope === undefined ? own : { ...own, scope: checkScope(scope) };
      const { view, token } = await tokens.issue({ name, principal, kind: "token", lifetimeMs });
      return { view: { ...view, owner: whoText(principal, caller.realm) }, token };
    },
    async list(caller) {
      needUnscoped(caller);
      return tokens.list(caller);
    },
    async revoke(id, caller) {
      if (id !== caller.credential?.id) needUnscoped(caller);
      await tokens.revoke(id, caller);
    },
  };
}

/** What one token stands for must not become more by another one. */
function needUnscoped({ scope }: Caller): void {
  if (scope !== undefined) throw new GatewayError("denied", "a token with a scope has no say about tokens; log in");
}

function serviceAccount(name: string) {
  return { realm: SERVICE_REALM, name, groups: [], admin: false };
}

function checkScope({ actions, services }: Scope): Scope {
  if (actions.length === 0) throw new GatewayError("bad_request", "scope.actions: expected at least one");
  if (services === undefined) return { actions: [...new Set(actions)] };
  if (services.length > MAX_SCOPE_SERVICES || !services.every(isServicePattern)) {
    const expected = `expected at most ${String(MAX_SCOPE_SERVICES)} of TASK, TASK/SERVICE or PROVIDER/TASK/SERVICE, with * for any characters`;
    throw new GatewayError("bad_request", `scope.services: ${expected}`);
  }
  return { actions: [...new Set(actions)], services: [...new Set(services)] };
}
