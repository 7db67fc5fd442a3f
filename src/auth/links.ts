import { GatewayError, LINK_REALM, type Principal } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { LinkGrant } from "./granted.ts";
import type { Grants } from "./grants.ts";
import { grantIdOf, isRightLink, isSignedBy, readLinkToken, signLinkToken } from "./link-text.ts";
import type { LoginLimit } from "./login-limit.ts";
import type { Revocations } from "./revocations.ts";
import type { Grounds, Tokens } from "./tokens.ts";

/** How somebody proved who they are who has a link. */
const LINK_PROOF = "shared-link";

/** What a link was exchanged for. */
export interface RedeemedLink {
  /** For the gate's API and for programs, as `Authorization: Bearer`. */
  readonly token: string;
  /** Epoch ms. */
  readonly expiresAt: number;
  readonly taskKey: string;
  /** null: every service of the task. */
  readonly service: string | null;
  readonly grantId: string;
}

/** Links that let in whoever has them. */
export interface Links {
  /** `peer`: address of who tries. Throws `unauthenticated` where it is wrong, ended or taken back, which nobody can tell; `rate_limited`. */
  redeem(link: string, peer: string): Promise<RedeemedLink>;
}

export interface LinksDeps {
  readonly grants: Pick<Grants, "link">;
  readonly limit: Pick<LoginLimit, "count">;
  readonly revocations: Pick<Revocations, "has">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Longest life of what a link is exchanged for, in ms. What is revoked is remembered for at least as long. */
  readonly tokenMs: number;
}

/** There is nothing to close. */
export function createLinks(deps: LinksDeps): Links {
  const { clock, grants, logger } = deps;
  return {
    async redeem(link, peer) {
      const found = await deps.limit.count({ method: LINK_PROOF, peer }, () => {
        const grant = grants.link(grantIdOf(link) ?? "");
        if (isRightLink(link, grant) && grant !== undefined) return Promise.resolve(grant);
        const message = "this link is wrong, has ended, or was taken back; ask whoever gave it to you";
        return Promise.reject(new GatewayError("unauthenticated", message));
      });
      const { grant, taskKey } = found;
      const expiresAt = Math.min(clock.now() + deps.tokenMs, grant.until ?? Infinity);
      logger.info({ link: grant.id, task: taskKey, peer }, "link used");
      return {
        ...{ token: signLinkToken(found, expiresAt), expiresAt },
        ...{ taskKey, service: grant.service, grantId: grant.id },
      };
    },
  };
}

/**
 * Tokens, with those of visitors of links among them: each stands on its grant, whose id is that of the login that their sessions belong
 * to, so that what takes the grant back ends them all.
 */
export function withLinkTokens(tokens: Tokens, deps: Pick<LinksDeps, "clock" | "grants" | "revocations">): Tokens {
  const { clock, grants, revocations } = deps;
  const find = (id: string): LinkGrant | null => (revocations.has(id) ? null : (grants.link(id) ?? null));
  return {
    ...tokens,
    verify(token) {
      const claimed = readLinkToken(token);
      if (claimed === null) return tokens.verify(token);
      const found = find(claimed.grantId);
      if (found !== null && isSignedBy(token, found.key) && clock.now() < claimed.expiresAt) {
        return Promise.resolve({ ...groundsOf(found), expiresAt: claimed.expiresAt });
      }
      return Promise.reject(new GatewayError("unauthenticated", "this link's token has ended; open the link again"));
    },
    find(id) {
      if (!id.startsWith("g-")) return tokens.find(id);
      const found = find(id);
      return Promise.resolve(found === null ? null : groundsOf(found));
    },
  };
}

function groundsOf({ grant }: LinkGrant): Grounds {
  const principal: Principal = { realm: LINK_REALM, name: grant.id, groups: [], admin: false };
  return { id: grant.id, kind: "link", principal, proof: LINK_PROOF, expiresAt: grant.until };
}
