import type { LoginConfig } from "../config/schema.ts";
import { GatewayError, type Principal } from "../model/index.ts";
import { currentOf } from "./access.ts";
import { type Assertions, createAssertions } from "./assertions.ts";
import type { AuthDeps } from "./auth-deps.ts";
import { type KeyRings, startKeyRings } from "./auth-keys.ts";
import { createTokensAuthenticator } from "./authenticators/tokens.ts";
import { createCredentials, type Credentials } from "./credentials.ts";
import { type Grants, startGrants } from "./grants.ts";
import { type LinksDeps, withLinkTokens } from "./links.ts";
import { createLoginLimit, type LoginLimit } from "./login-limit.ts";
import { type Logins, startLogins } from "./logins.ts";
import { type Revocations, startRevocations } from "./revocations.ts";
import { SKEW_MS } from "./session-reader.ts";
import { createTokenUses } from "./token-uses.ts";
import { createTokens, type Grounds, type Tokens } from "./tokens.ts";
import { createToday, watchEnded } from "./watch-ended.ts";

/** Asking a password file costs nothing: who was taken out of it while the gate was down is out soon after. */
const BASIC_RENEW_MS = 60_000;

/** Who anybody is: what vouches for it, and what is void of that. */
export interface Identities extends Disposable {
  readonly rings: KeyRings;
  readonly assertions: Assertions;
  readonly revocations: Revocations;
  readonly limit: LoginLimit;
  /** Who a kept principal is today; null: nobody any more. */
  readonly current: (principal: Principal) => Principal | null;
  readonly logins: Logins;
  readonly grants: Grants;
  readonly linkDeps: LinksDeps;
  readonly tokens: Tokens;
  readonly credentials: Credentials;
  /** How soon sessions of people whom a method let in are renewed at the latest, by its name. */
  readonly renewMs: ReadonlyMap<string, number>;
}

/** Makes the gate's keys on the first start. Throws `unavailable` where the store cannot be read. */
export async function startIdentities(deps: AuthDeps): Promise<Identities> {
  const { store, config, clock, logger, owner, site } = deps;
  const { authenticators = [], sealer, loginLimit: limit = createLoginLimit(clock) } = deps;
  using scope = new DisposableStack();
  const keepMs = config.session + SKEW_MS;
  const rings = scope.use(await startKeyRings({ store, clock, logger, rotateMs: config.keyRotation, keepMs }));
  const revocations = scope.use(await startRevocations({ store, clock, keepMs }));
  const grants = scope.use(await startGrants({ store, revocations, clock, logger }));
  const current = createCurrent(deps);
  const logins = scope.use(
    startLogins({ store, clock, logger, sealer, revocations, authenticators, ownRealm: owner.realm }),
  );
  const linkDeps = { grants, revocations, clock, logger, limit, tokenMs: config.session };
  const uses = createTokenUses({ store, clock, logger });
  const issued = withLinkTokens(createTokens({ store, clock, revocations, current, uses }), linkDeps);
  const tokens = askingAfter(issued, logins, current);
  const own = createTokensAuthenticator({ tokens, realm: owner.realm, limit, clock });
  const credentials = createCredentials([own, ...authenticators], clock, current);
  scope.use(watchEnded({ authenticators, credentials, logins, revocations, logger }));
  const disposing = scope.move();
  return {
    ...{ rings, revocations, limit, current, logins, grants, linkDeps, tokens, credentials },
    assertions: createAssertions({ keys: rings.assertion, site, clock }),
    renewMs: renewalsOf(config),
    [Symbol.dispose]: () => disposing.dispose(),
  };
}

function createCurrent({ authenticators = [], isAdmin, owner }: AuthDeps): Identities["current"] {
  const today = createToday(authenticators);
  return (principal) => {
    const known = currentOf(owner, principal);
    const found = known && today(known);
    return found === null || found.admin || isAdmin?.(found) !== true ? found : { ...found, admin: true };
  };
}

function renewalsOf({ methods }: LoginConfig): ReadonlyMap<string, number> {
  return new Map(
    methods.flatMap((method) => {
      if ("recheck" in method) return [[method.name, method.recheck]];
      return method.type === "basic" ? [[method.name, BASIC_RENEW_MS]] : [];
    }),
  );
}

/** The tokens of people whom a method let in stand on what it says of them today. */
function askingAfter(tokens: Tokens, logins: Logins, current: (principal: Principal) => Principal | null): Tokens {
  async function today(grounds: Grounds | null): Promise<Grounds | null> {
    const found = grounds && (await logins.today(grounds));
    const principal = found && current(found.principal);
    return found && principal && { ...found, principal };
  }
  return {
    ...tokens,
    find: async (id) => today(await tokens.find(id)),
    async verify(token) {
      const found = await today(await tokens.verify(token));
      if (found === null)
        throw new GatewayError("unauthenticated", "the login behind this token has ended; log in again");
      return found;
    },
  };
}
