import { z } from "zod";
import { GatewayError, type Principal, type RequestHead } from "../../../model/index.ts";
import { realmOf } from "../../../config/login-methods.ts";
import type { JupyterHubMethod } from "../../../config/jupyterhub-method.ts";
import type { Clock } from "../../../platform/clock.ts";
import { hashOf, newSecret } from "../../codes.ts";
import type { LoginLimit } from "../../login-limit.ts";
import type { Authenticated, Authenticator, LoggedIn, RedirectLogin } from "../authenticator.ts";
import { readClientSecret } from "../client-secret.ts";
import { type CredentialForm, recognisedBy, shownBy } from "../credential-forms.ts";
import { createHubClient, type HubClient, type HubUser } from "./hub-client.ts";

/** Nobody tells when a token of the hub is revoked: what one has opened does not stay open longer than this. */
const OPEN_MS = 3_600_000;

/** A scheme, and what may be a token: it is sent on in a header. */
const CREDENTIAL = /^([a-z]+) +([\x21-\x2b\x2d-\x7e]{1,512})$/i;

/** What a public id may be. */
const ID = /^[A-Za-z0-9-]{1,31}$/;

export interface JupyterHubDeps {
  readonly config: JupyterHubMethod;
  readonly limit: Pick<LoginLimit, "count">;
  readonly clock: Clock;
}

/**
 * Tokens of a JupyterHub in `Authorization: jupyterhub TOKEN` (also `token` and `bearer`, where it looks like one of a hub: a notebook
 * server has tokens of its own), and its users' browsers by OAuth, with the hub as provider and the gate as one of its services.
 */
export function createJupyterHub(deps: JupyterHubDeps): Authenticator {
  const { config } = deps;
  const { name, url, apiUrl = `${url}/api`, patience: patienceMs, cache: keepMs } = config;
  const client = createHubClient({ apiUrl, patienceMs });
  const forms = formsOf(config.schemes);
  const recognises = (head: RequestHead): readonly string[] => recognisedBy(forms, head);
  return {
    ...{ name, realm: realmOf(config), forms, recognises, keepMs },
    async authenticate(head, signal) {
      const token = shownToken(forms, head);
      if (token === null) return null;
      return deps.limit.count({ method: name, peer: head.peer }, async () =>
        authenticated(deps, permitted(config, await client.whoIs(token, signal))),
      );
    },
    ...(config.clientSecretFile === undefined ? {} : { interactive: createLogin(config, client) }),
  };
}

function formsOf(schemes: JupyterHubMethod["schemes"]): readonly CredentialForm[] {
  const shared = schemes.filter((scheme) => scheme !== "jupyterhub");
  return [
    ...(schemes.includes("jupyterhub") ? [{ form: "scheme", schemes: ["jupyterhub"] } as const] : []),
    ...(shared.length === 0 ? [] : [{ form: "hubToken", schemes: shared } as const]),
  ];
}

/** null: nothing of ours. Throws `unauthenticated` for what is ours and no token. */
function shownToken(forms: readonly CredentialForm[], head: RequestHead): string | null {
  const field = shownBy(forms, head);
  if (field === undefined) return null;
  const token = CREDENTIAL.exec(field)?.[2];
  if (token !== undefined) return token;
  throw new GatewayError("unauthenticated", "expected Authorization: jupyterhub TOKEN");
}

/** Throws `unauthenticated` for who is nobody, or may not come in. */
function permitted({ service, scopes }: JupyterHubMethod, user: HubUser | null): HubUser {
  if (user === null) {
    throw new GatewayError("unauthenticated", "the JupyterHub does not know this token: wrong, expired or revoked");
  }
  const enough = scopes ?? ["access:services", `access:services!service=${service}`];
  if (enough.some((scope) => user.scopes.includes(scope))) return user;
  throw new GatewayError("unauthenticated", `this token of the JupyterHub lacks the scope ${enough.join(" or ")}`);
}

function authenticated({ config, clock }: JupyterHubDeps, user: HubUser): Authenticated {
  const id = user.token_id ?? "";
  return {
    principal: principalOf(config, user),
    expiresAt: clock.now() + OPEN_MS,
    ...(ID.test(id) ? { id: `${config.name}-${id}` } : {}),
  };
}

/** Services, and names that could be taken for one, are told apart by their kind: `service:NAME`. Dask Gateway names them so, too. */
function principalOf(config: JupyterHubMethod, { kind, name, groups, admin }: HubUser): Principal {
  const realm = realmOf(config);
  return {
    realm,
    name: kind === "user" && !name.includes(":") ? name : `${kind}:${name}`,
    groups: groups.map((group) => ({ realm, name: group })),
    admin: config.admins && admin,
  };
}

/** Of an attempt, until the browser is back. */
const Attempt = z.object({ verifier: z.string() });

/** Of a login, to ask again with. */
const Kept = z.object({ token: z.string() });

/**
 * The authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636); a hub that does not know PKCE takes no notice of it. The login
 * stands on the token that the hub gave for it: that one ends with the login there.
 */
function createLogin(config: JupyterHubMethod, hub: HubClient): RedirectLogin {
  const { name, label = name, url, lifetime, recheck: recheckMs } = config;
  const clientId = `service-${config.service}`;
  const loggedIn = (user: HubUser, token: string, goodMs = lifetime): LoggedIn => ({
    principal: principalOf(config, user),
    lifetimeMs: Math.min(lifetime, goodMs),
    ...{ recheckMs, secret: JSON.stringify({ token }) },
  });
  return {
    ...{ kind: "redirect", label },
    async begin({ redirectUri, state }, signal) {
      await hub.greet(signal);
      const verifier = newSecret();
      const location = new URL(`${url}/api/oauth2/authorize`);
      location.search = new URLSearchParams({
        ...{ response_type: "code", client_id: clientId, redirect_uri: redirectUri, state },
        ...{ code_challenge: hashOf(verifier), code_challenge_method: "S256" },
      }).toString();
      return { location, keep: JSON.stringify({ verifier }) };
    },
    async complete({ redirectUri, state, parameters, keep }, signal) {
      const code = confirmedCode(parameters, state);
      const { verifier } = Attempt.parse(JSON.parse(keep));
      const clientSecret = (await readClientSecret(config)) ?? "";
      const redeemed = await hub.redeem({ code, redirectUri, verifier, clientId, clientSecret }, signal);
      if (redeemed === null) throw new GatewayError("unauthenticated", "the JupyterHub refused the login's code");
      const user = permitted(config, await hub.whoIs(redeemed.token, signal));
      return loggedIn(user, redeemed.token, redeemed.lifetimeMs);
    },
    async recheck(secret, signal) {
      const { token } = Kept.parse(JSON.parse(secret));
      return loggedIn(permitted(config, await hub.whoIs(token, signal)), token);
    },
  };
}

/** RFC 6749 sections 4.1.2 and 4.1.2.1. Throws `unauthenticated`, `denied` and `unavailable`. */
function confirmedCode(parameters: URLSearchParams, state: string): string {
  if (parameters.get("state") !== state) throw new GatewayError("unauthenticated", "this answer is for another login");
  const error = parameters.get("error");
  if (error === "access_denied") throw new GatewayError("denied", "the JupyterHub did not let this person in");
  if (error === "server_error" || error === "temporarily_unavailable") {
    throw new GatewayError("unavailable", "the JupyterHub failed at the login");
  }
  const code = parameters.get("code");
  if (code !== null && error === null) return code;
  throw new GatewayError("unauthenticated", "the JupyterHub did not confirm the login");
}
