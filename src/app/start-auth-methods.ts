import type { Authenticator } from "../auth/authenticators/authenticator.ts";
import { startBasic } from "../auth/authenticators/basic.ts";
import { createJupyterHub } from "../auth/authenticators/jupyterhub/jupyterhub.ts";
import { createOidc } from "../auth/authenticators/oidc/oidc.ts";
import { startTrustedHeader } from "../auth/authenticators/trusted-header.ts";
import type { LoginLimit } from "../auth/login-limit.ts";
import { createPasswordChecks, type PasswordChecks } from "../auth/passwords/password-checks.ts";
import type { LoginMethod } from "../config/login-methods.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";

export interface AuthMethodsDeps {
  readonly limit: LoginLimit;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Disposing it stops what some of them watch. */
export interface AuthMethods extends AsyncDisposable {
  readonly authenticators: readonly Authenticator[];
}

/** The configured ways to log in, in their order. Nobody is asked anything yet. Throws `bad_request` for files that cannot be used. */
export async function startAuthMethods(methods: readonly LoginMethod[], deps: AuthMethodsDeps): Promise<AuthMethods> {
  await using scope = new AsyncDisposableStack();
  const parts = { ...deps, checks: createPasswordChecks() };
  const authenticators: Authenticator[] = [];
  for (const method of methods) {
    const started = await startAuthMethod(method, parts);
    authenticators.push(started);
    if (Symbol.asyncDispose in started) scope.use(started);
  }
  const watching = scope.move();
  return { authenticators, [Symbol.asyncDispose]: () => watching.disposeAsync() };
}

type Started = Authenticator | (Authenticator & AsyncDisposable);

async function startAuthMethod(
  method: LoginMethod,
  deps: AuthMethodsDeps & { readonly checks: PasswordChecks },
): Promise<Started> {
  switch (method.type) {
    case "oidc":
      return createOidc(method, deps);
    case "jupyterhub":
      return createJupyterHub({ config: method, clock: deps.clock });
    case "basic":
      return startBasic({ ...deps, method });
    case "trusted-header":
      return startTrustedHeader({ ...deps, method });
  }
}
