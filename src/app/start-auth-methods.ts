import type { Authenticator } from "../auth/authenticators/authenticator.ts";
import { createJupyterHub } from "../auth/authenticators/jupyterhub/jupyterhub.ts";
import { checkKerberosInstalled } from "../auth/authenticators/kerberos/acceptor.ts";
import { startKerberos } from "../auth/authenticators/kerberos/kerberos.ts";
import { startTrustedHeader } from "../auth/authenticators/trusted-header.ts";
import { createAdmins } from "../auth/admins.ts";
import type { AuthDeps } from "../auth/auth.ts";
import { createLoginLimit, type LoginLimit } from "../auth/login-limit.ts";
import { createPasswordChecks, type PasswordChecks } from "../auth/passwords/password-checks.ts";
import { type LoginMethod, realmOfConfig } from "../config/login-methods.ts";
import type { LoginConfig } from "../config/schema.ts";
import type { Site } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";

export interface AuthMethodsDeps {
  readonly site: Pick<Site, "gateHost">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Disposing it stops what some of them watch. */
export interface AuthMethods extends AsyncDisposable {
  /** What of `startAuth` comes of them. */
  readonly parts: Required<Pick<AuthDeps, "authenticators" | "isAdmin" | "loginLimit">>;
}

/**
 * The configured ways to log in, in their order. Nobody is asked anything yet. Throws `bad_request` for files that cannot be used.
 */
export async function startAuthMethods(
  { methods, admins }: Pick<LoginConfig, "methods" | "admins">,
  { site, clock, logger }: AuthMethodsDeps,
): Promise<AuthMethods> {
  await using scope = new AsyncDisposableStack();
  const limit = createLoginLimit(clock);
  const parts = { limit, site, clock, logger, checks: createPasswordChecks() };
  const authenticators: Authenticator[] = [];
  for (const method of methods) {
    const started = await startAuthMethod(method, parts);
    authenticators.push(started);
    if (Symbol.asyncDispose in started) scope.use(started);
  }
  const watching = scope.move();
  const isAdmin = createAdmins(admins, realmOfConfig(methods));
  return {
    parts: { authenticators, isAdmin, loginLimit: limit },
    [Symbol.asyncDispose]: () => watching.disposeAsync(),
  };
}

/** Built, it is JavaScript. */
const KERBEROS_ACCEPTOR = new URL(
  import.meta.url.endsWith(".ts") ? "kerberos-acceptor.ts" : "kerberos-acceptor.js",
  import.meta.url,
);

type Started = Authenticator | (Authenticator & AsyncDisposable);

interface MethodDeps extends AuthMethodsDeps {
  readonly limit: LoginLimit;
  readonly checks: PasswordChecks;
}

async function startAuthMethod(method: LoginMethod, deps: MethodDeps): Promise<Started> {
  switch (method.type) {
    case "oidc": {
      // Its libraries, and bcrypt below, take longer to load than all other methods, and most gates have no use for them.
      const { createOidc } = await import("../auth/authenticators/oidc/oidc.ts");
      return createOidc(method, deps);
    }
    case "jupyterhub":
      return createJupyterHub({ ...deps, config: method });
    case "basic": {
      const { startBasic } = await import("../auth/authenticators/basic.ts");
      return startBasic({ ...deps, method });
    }
    case "trusted-header":
      return startTrustedHeader({ ...deps, method });
    case "kerberos":
      checkKerberosInstalled();
      return startKerberos({ ...deps, config: method, gateHost: deps.site.gateHost, acceptor: KERBEROS_ACCEPTOR });
  }
}
