import { errors as jose } from "jose";
import { AuthorizationResponseError, ClientError, ResponseBodyError } from "openid-client";
import { GatewayError } from "../../../model/index.ts";

/** What an error of a provider's answer means: who came has proved nothing. Of all others nobody can say, so they are no answer. */
const PROVED_NOTHING: ReadonlySet<string> = new Set([
  "OAUTH_INVALID_RESPONSE",
  "OAUTH_JWT_TIMESTAMP_CHECK_FAILED",
  "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
  "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED",
]);

/** RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6, where the person, not the gate, is who cannot. */
const REFUSED_THERE: ReadonlySet<string> = new Set([
  "login_required",
  "interaction_required",
  "consent_required",
  "account_selection_required",
]);

const { JWKSTimeout, JWKSInvalid, JWKInvalid, JOSEError } = jose;

/** What failed while `method` asked its provider, as this gate says it. No word of the provider's comes through: it may hold a secret. */
export function failureOf(method: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  if (error instanceof AuthorizationResponseError) {
    if (error.error === "access_denied")
      return new GatewayError("denied", `${method}: the provider did not let them in`);
    if (REFUSED_THERE.has(error.error)) return proved(method, error);
  }
  if (error instanceof ResponseBodyError && error.error === "invalid_grant") return proved(method, error);
  if (error instanceof ClientError && PROVED_NOTHING.has(error.code ?? "")) return proved(method, error);
  if (error instanceof JOSEError && !isNoAnswer(error)) return proved(method, error);
  return new GatewayError("unavailable", `${method}: the provider does not answer as it should`, { cause: error });
}

function proved(method: string, cause: Error): GatewayError {
  return new GatewayError("unauthenticated", `${method}: what the provider sent is wrong, used or expired`, { cause });
}

/** jose's own base class stands for a key set that did not come (another status than 200, no JSON). */
function isNoAnswer(error: InstanceType<typeof JOSEError>): boolean {
  if (error.code === "ERR_JOSE_GENERIC") return true;
  return [JWKSTimeout, JWKSInvalid, JWKInvalid].some((kind) => error instanceof kind);
}
