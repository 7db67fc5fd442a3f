import type { Authenticator } from "../auth/authenticators/authenticator.ts";
import { createJupyterHub } from "../auth/authenticators/jupyterhub/jupyterhub.ts";
import { createOidc } from "../auth/authenticators/oidc/oidc.ts";
import type { LoginMethod } from "../config/login-methods.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";

export interface AuthMethodsDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The configured ways to log in, in their order. Nobody is asked anything yet. Throws `bad_request` for files that cannot be read. */
export function createAuthMethods(methods: readonly LoginMethod[], deps: AuthMethodsDeps): readonly Authenticator[] {
  return methods.map((method) => createAuthMethod(method, deps));
}

function createAuthMethod(method: LoginMethod, deps: AuthMethodsDeps): Authenticator {
  switch (method.type) {
    case "oidc":
      return createOidc(method, deps);
    case "jupyterhub":
      return createJupyterHub({ config: method, clock: deps.clock });
  }
}
