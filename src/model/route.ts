import type { Access } from "./access.ts";
import type { Identity } from "./identity.ts";
import type { Endpoint, Policy, Protocol } from "./task.ts";

export type Match =
  | { readonly by: "host"; readonly listener: string; readonly host: string }
  | {
      readonly by: "path";
      readonly listener: string;
      readonly host: string;
      readonly prefix: string;
      readonly strip: boolean;
    }
  | {
      readonly by: "headers";
      readonly listener: string;
      readonly all: readonly (readonly [name: string, value: string])[];
    }
  | { readonly by: "serverName"; readonly listener: string; readonly name: string }
  | { readonly by: "port"; readonly port: number };

/** What is already held: the incumbent keeps a name or port that two want. */
export interface Claim {
  readonly match: Match;
  /** `provider/task/service`. */
  readonly service: string;
  /** Epoch ms. */
  readonly since: number;
}

/** One way for a user to get to a service. */
export interface Route {
  /** The key of its match: see `matchKey`. */
  readonly id: string;
  readonly match: Match;
  /** `provider/task/service`: the audience of a session. */
  readonly service: string;
  readonly replica?: string;
  readonly protocol: Protocol;
  readonly guard: "gate" | "self";
  /** Key of the upstream and of its endpoints. */
  readonly upstream: string;
  readonly owner: Identity | null;
  /** Resolved: the service's own, else the task's, within the ceiling. */
  readonly access: Access;
  readonly policy: Policy;
}

/** Where a route leads. Many routes share one. */
export interface Upstream {
  readonly id: string;
  readonly protocol: Protocol;
  readonly policy: Policy;
}

export interface Endpoints {
  readonly upstream: string;
  readonly list: readonly Endpoint[];
}

/**
 * The one spelling of a match: equal for what is the same name (`strip` is no part of a path's name), different for anything else,
 * whatever the values hold. It is a route's id and a claim's key.
 */
export function matchKey(match: Match): string {
  switch (match.by) {
    case "host":
      return `host ${part(match.listener)} ${match.host}`;
    case "path":
      return `path ${part(match.listener)} ${part(match.host)} ${match.prefix}`;
    case "headers":
      return `headers ${part(match.listener)} ${JSON.stringify(match.all)}`;
    case "serverName":
      return `serverName ${part(match.listener)} ${match.name}`;
    case "port":
      return `port ${String(match.port)}`;
  }
}

// Every part but the last must not hold the separator, or two matches could be spelled alike.
function part(value: string): string {
  return /[ %]/.test(value) ? value.replace(/%/g, "%25").replace(/ /g, "%20") : value;
}
