import type {
  Entries,
  Gatekeeper,
  RequestHead,
  Route,
  RouteTable,
  SessionKey,
  Site,
  TableDiff,
} from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Explain } from "../../dataplane.ts";
import { RouteIndex } from "../../route-index.ts";
import type { GrpcService } from "../grpc-server.ts";
import { grpcMethod } from "../proto/grpc-method.ts";
import { CheckRequest, CheckResponse } from "../proto/tables/ext-authz.ts";
import type { Resource } from "../resource.ts";
import { createCheck } from "./check-service.ts";
import { loginFilters } from "./filters.ts";
import type { Revoked } from "./pass-filter.ts";
import { type Decided, RecentlyDecided } from "./recently-decided.ts";
import type { ServiceMetadataDeps } from "./service-metadata.ts";

/** What sessions are verified by, beside the keys of the table. */
export interface Verification {
  /** Name of the session cookie of services that have a host of their own. */
  readonly cookie: string;
  /** Names of fields that may hold credentials, beside `Authorization`, in lower case. */
  readonly credentialFields: readonly string[];
  revoked(): Revoked;
  /** Called after every revocation, which waits for what is returned. */
  observe(listener: () => Promise<void> | void): Disposable;
}

export interface AuthzDeps extends ServiceMetadataDeps {
  readonly gatekeeper: Pick<Gatekeeper, "check" | "admit" | "refused">;
  readonly verification: Verification;
  readonly explain: Explain;
  readonly site: Site;
  /** How many fronts stand one behind the other. */
  readonly frontHops: number;
  /** `IP:PORT` of an endpoint of the route, for tunnels; undefined: there is none. */
  readonly tunnelTarget: (route: Route) => string | undefined;
  /** Value of `x-tg-own` in answers that are the gate's own: 16 letters, digits, `-` and `_` at least. */
  readonly ownSecret: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who may pass an Envoy: what it decides by itself, and the answers to what it asks. There is nothing to close. */
export interface Authz {
  /** envoy.service.auth.v3.Authorization. */
  readonly service: GrpcService;
  apply(table: RouteTable, diff: TableDiff): void;
  /** All sources were heard once. Until then what is not known may be there all the same: who asks for it is told to try again. */
  settled(): void;
  /** What Envoys verify sessions by: always the same two, with what is in them now. */
  resources(): readonly Resource[];
  /** The route of a request that was let in and came to the gate in the place of its job. */
  find(head: RequestHead): Route | null;
  /** Whom the gate let in, by the `use` that it named in the request's metadata; undefined: longer than a minute ago. */
  decided(use: string): Decided | undefined;
}

/** Type of what Envoys verify sessions by. */
export const EXTENSION_CONFIG = "envoy.config.core.v3.TypedExtensionConfig";

export function createAuthz(deps: AuthzDeps): Authz {
  const { site, verification } = deps;
  const index = new RouteIndex(site.domain);
  const decided = new RecentlyDecided(deps.clock);
  let keys: Entries<SessionKey> = new Map();
  let isSettled = false;

  return {
    service: {
      definition: {
        check: grpcMethod(
          { service: "envoy.service.auth.v3.Authorization", name: "Check" },
          { request: CheckRequest, response: CheckResponse },
        ),
      },
      implementation: { check: createCheck({ ...deps, index, decided, isSettled: () => isSettled }) },
    },
    apply(table, diff) {
      index.apply(diff.routes);
      keys = table.keys;
    },
    settled() {
      isSettled = true;
    },
    resources() {
      const { cookie, credentialFields } = verification;
      const judged = { revoked: verification.revoked(), credentialFields, routingFields: index.headerNames };
      return Object.entries(loginFilters({ cookie, keys, judged })).map(([name, config]) => extension(name, config));
    },
    find(head) {
      const found = index.find(head);
      return found.kind === "route" ? found.route : null;
    },
    decided: (use) => decided.get(use),
  };
}

function extension(name: string, typedConfig: object): Resource {
  return { type: EXTENSION_CONFIG, name, fleet: null, body: { name, typedConfig }, subject: "envoy" };
}
