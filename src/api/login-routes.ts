import type { Api } from "./api-env.ts";
import type { ApiDeps } from "./deps.ts";
import { requestHeadOf } from "./request-head.ts";
import { ROUTES } from "./routes.ts";

/** Tokens, login links, and the login page's errands. */
export function addLoginRoutes(api: Api, { auth }: ApiDeps): void {
  const { tokens, login } = auth;
  api.openapi(ROUTES.listTokens, async (c) => c.json({ tokens: [...(await tokens.list(c.var.principal))] }, 200));
  api.openapi(ROUTES.createToken, async (c) => c.json(await tokens.create(c.var.principal, c.req.valid("json")), 201));
  api.openapi(ROUTES.revokeToken, async (c) => {
    await tokens.revoke(c.var.principal, c.req.valid("param").id);
    return c.body(null, 204);
  });
  api.openapi(ROUTES.createLink, async (c) => c.json(await login.link(c.var.principal, c.req.valid("json")), 201));
  api.openapi(ROUTES.redeemCode, async (c) => c.json(await login.redeem(c.req.valid("json").code), 200));
  api.openapi(ROUTES.whoAmI, (c) => {
    const { realm, name, admin } = c.var.principal;
    return c.json({ realm, name, admin }, 200);
  });
  api.openapi(ROUTES.logout, async (c) => {
    await login.logout(requestHeadOf(c.req.raw));
    return c.body(null, 204);
  });
  api.openapi(ROUTES.visit, async (c) => c.json(await login.visit(c.var.principal, c.req.valid("json")), 200));
}
