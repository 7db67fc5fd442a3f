import type { TokenWish } from "../auth/token-desk.ts";
import type { TokenView as KnownToken } from "../auth/tokens.ts";
import { GatewayError, originOf, type Site } from "../model/index.ts";
import type { Api } from "./api-env.ts";
import { noteAudit } from "./audit-operations.ts";
import type { ApiDeps } from "./deps.ts";
import { requestHeadOf } from "./request-head.ts";
import { ROUTES } from "./routes.ts";
import type { TokenRequest, TokenView } from "./wire-tokens.ts";
import { withoutUndefined } from "./without-undefined.ts";

/** Tokens, login links, and the login page's errands. */
export function addLoginRoutes(api: Api, deps: ApiDeps): void {
  addTokens(api, deps);
  const { login } = deps.auth;
  api.openapi(ROUTES.createLink, async (c) => {
    const { to } = c.req.valid("json");
    const onward = to === undefined ? "" : `&to=${encodeURIComponent(ownUrl(to, deps.site))}`;
    if (c.var.principal.realm !== deps.owner.realm) {
      throw new GatewayError(
        "denied",
        "login links are of who runs the gate; log in at its page, by a way of your own",
      );
    }
    const { url, expiresAt } = await login.link(c.var.principal);
    return c.json({ url: `${url}${onward}`, expiresAt }, 201);
  });
  api.openapi(ROUTES.redeemCode, async (c) => {
    const begun = await login.redeem(c.req.valid("json").code, requestHeadOf(c.req.raw).peer);
    noteAudit(c, { realm: begun.realm, user: begun.principal, proof: "link" });
    return c.json(begun, 200);
  });
  api.openapi(ROUTES.whoAmI, (c) => {
    const { realm, name, admin } = c.var.principal;
    return c.json({ realm, name, admin }, 200);
  });
  api.openapi(ROUTES.logout, async (c) => {
    const { credential } = c.var.principal;
    const location = credential === undefined ? null : await endSession(deps, credential.id);
    await login.logout(requestHeadOf(c.req.raw));
    return location === null ? c.body(null, 204) : c.json({ location }, 200);
  });
  api.openapi(ROUTES.visit, async (c) => c.json(await login.visit(c.var.principal, c.req.valid("json")), 200));
}

/** Logging out here does not wait for a provider that does not answer. */
async function endSession({ auth, logger, signal }: ApiDeps, login: string): Promise<string | null> {
  try {
    return await auth.methods.endSession(login, signal);
  } catch (err) {
    logger.warn({ err }, "the provider could not be asked where its login ends");
    return null;
  }
}

function addTokens(api: Api, { auth: { tokenDesk } }: ApiDeps): void {
  api.openapi(ROUTES.listTokens, async (c) =>
    c.json({ tokens: (await tokenDesk.list(c.var.principal)).map(shown) }, 200),
  );
  api.openapi(ROUTES.createToken, async (c) => {
    const { view, token } = await tokenDesk.issue(c.var.principal, wishOf(c.req.valid("json")));
    const { name, owner, scope, expiresAt } = view;
    noteAudit(c, { object: view.id, after: { name, owner, scope, expiresAt } });
    return c.json({ ...shown(view), token }, 201);
  });
  api.openapi(ROUTES.revokeToken, async (c) => {
    await tokenDesk.revoke(c.req.valid("param").id, c.var.principal);
    return c.body(null, 204);
  });
}

function shown({ scope, ...view }: KnownToken): TokenView {
  if (scope === null) return { ...view, scope };
  const { actions, services } = scope;
  return { ...view, scope: { actions: [...actions], ...(services === undefined ? {} : { services: [...services] }) } };
}

function wishOf({ scope, ...wish }: TokenRequest): TokenWish {
  return { ...wish, ...(scope === undefined ? {} : { scope: withoutUndefined(scope) }) };
}

/** A login that leads on leads to hosts of this gate alone, however the link was made. */
function ownUrl(text: string, site: Site): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const host = url?.hostname ?? "";
  const ours = host === site.gateHost || host === site.pathHost || host.endsWith(`.${site.domain}`);
  if (url === null || !ours || url.origin !== originOf(site, host)) {
    throw new GatewayError("bad_request", "to: expected a URL on a host of this gate");
  }
  return url.href;
}
