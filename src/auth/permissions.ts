import { type Access, GatewayError, type Principal, type RequestHead, type Route } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { mayUse } from "./access.ts";
import { abortable, createAnswers } from "./answers.ts";
import type { Authority } from "./authority.ts";
import { isConsequential } from "./origins.ts";

/** For so long an authority's answer is kept. */
export const KEEP_MS = 10_000;
const TIME_MS = 5_000;
const MAX_KEPT = 20_000;

/** Who may use which route, authorities included. */
export interface Permissions {
  /** undefined: an authority is to be asked. */
  peek(route: Route, principal: Principal): boolean | undefined;
  /** Throws `unavailable` where no answer could be had, and the signal's reason. */
  ask(route: Route, principal: Principal, signal: AbortSignal): Promise<boolean>;
}

/** An authority's answer is kept for 10 s, for one principal, resource, action and epoch. There is nothing to close. */
export function createPermissions(deps: {
  readonly authorities: ReadonlyMap<string, Authority>;
  readonly clock: Clock;
}): Permissions {
  const { authorities, clock } = deps;
  const answers = createAnswers<boolean>({
    clock,
    of: "the authority that decides about this service",
    keepMs: KEEP_MS,
    timeMs: TIME_MS,
    max: MAX_KEPT,
  });

  function known(route: Route, principal: Principal): boolean | Question {
    const verdict = mayUse(route, principal, clock.now());
    const { authority } = route.access;
    if (verdict !== "authority" || authority === undefined) return verdict === "allowed";
    return { authority, principal };
  }

  return {
    peek(route, principal) {
      const found = known(route, principal);
      return typeof found === "boolean" ? found : answers.peek(keyOf(found));
    },
    async ask(route, principal, signal) {
      const found = known(route, principal);
      if (typeof found === "boolean") return found;
      return answers.ask(keyOf(found), (limit) => askAuthority(authorities, found, limit), signal);
    },
  };
}

/** Of routes whose authority is asked about another action where a request may change something. */
const writing = new WeakMap<Route, Route>();

/**
 * The route as permission for this request is asked about: with the policy's `writeAction` in place of the authority's action for methods
 * that may change something, and for WebSockets, which go both ways.
 */
export function askedRoute(route: Route, head: RequestHead): Route {
  const { access, policy } = route;
  const { authority } = access;
  if (policy.writeAction === undefined || authority === undefined || !isConsequential(head)) return route;
  let asked = writing.get(route);
  if (asked === undefined) {
    asked = { ...route, access: { ...access, authority: { ...authority, action: policy.writeAction } } };
    writing.set(route, asked);
  }
  return asked;
}

interface Question {
  readonly authority: NonNullable<Access["authority"]>;
  readonly principal: Principal;
}

/** Groups are part of it: the same name with other groups may get another answer. */
function keyOf({ authority, principal }: Question): string {
  const groups = principal.groups.map((group) => [group.realm, group.name]);
  return JSON.stringify([
    [authority.name, authority.resource, authority.action, authority.epoch],
    [principal.realm, principal.name, groups],
  ]);
}

async function askAuthority(
  authorities: ReadonlyMap<string, Authority>,
  { authority, principal }: Question,
  signal: AbortSignal,
): Promise<boolean> {
  const asked = authorities.get(authority.name);
  if (asked === undefined) {
    throw new GatewayError("unavailable", `${authority.name}, which decides about this service, is not configured`);
  }
  try {
    return await abortable(asked.allows(principal, authority.resource, authority.action, signal), signal);
  } catch (error) {
    if (error instanceof GatewayError && error.code === "unavailable") throw error;
    throw new GatewayError("unavailable", `${authority.name}, which decides about this service, failed`, {
      cause: error,
    });
  }
}
