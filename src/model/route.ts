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

/** The one spelling of a match, equal for equal matches. It is a route's id and a claim's key. */
export function matchKey(match: Match): string {
  switch (match.by) {
    case "host":
      return `host ${match.listener} ${match.host}`;
    case "path":
      return `path ${match.listener} ${match.host}${match.prefix}`;
    case "headers":
      return `headers ${match.listener} ${JSON.stringify(match.all)}`;
    case "serverName":
      return `serverName ${match.listener} ${match.name}`;
    case "port":
      return `port ${String(match.port)}`;
  }
}
