import type { Gatekeeper, Problem, Route, TableDiff } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { PlaneFigures } from "../../figures.ts";
import type { GrpcService } from "../grpc-server.ts";
import { AskedAdmins, type AskedAdminsDeps } from "./asked-admins.ts";
import { Book } from "./book.ts";
import { EndpointHealth } from "./endpoint-health.ts";
import { holdService } from "./hold-service.ts";
import { logService } from "./log-service.ts";
import { Tally } from "./tally.ts";
import { startTeller, type TellerDeps } from "./teller.ts";
import { untoldEntries } from "./untold-entries.ts";
import { WhoCame, type WhoCameDeps } from "./who-came.ts";

export interface WatchDeps extends WhoCameDeps, TellerDeps {
  readonly gatekeeper: Pick<Gatekeeper, "opened" | "refused">;
  readonly clock: Clock;
  /** Failures in a row after which an endpoint is taken for unhealthy. */
  readonly failures: number;
  /** Of the route that a cluster is of; undefined: there is none, or none any more. */
  readonly routeOf: (cluster: string) => Route | undefined;
  /** Envoys say how their endpoints are: the one of this machine when it is asked, others when they come for it; null: requests alone tell. */
  readonly admins: Pick<AskedAdminsDeps, "local" | "clusterOf" | "admit"> | null;
  /** Health, or connections that nobody holds, are others than before. */
  readonly changed: () => void;
  /** Somebody used a service. */
  readonly used: () => void;
}

/**
 * What this gate sees of the traffic of its Envoys: what lasts is held, so that it can be ended; everything is told to the gatekeeper, counted
 * and logged. Disposing ends what is open in the gatekeeper's eyes; at the Envoys it goes on.
 */
export interface Watch extends AsyncDisposable {
  /** For the server that Envoys call. */
  readonly services: readonly GrpcService[];
  apply(diff: TableDiff): void;
  /** Of all Envoys; what the one of this machine could not tell is among the lines that were dropped. */
  figures(): Promise<PlaneFigures>;
  /** By `endpointKey`. */
  readonly endpoints: ReadonlyMap<string, "healthy" | "unhealthy">;
  /** By service key: epoch ms. */
  readonly lastUsed: ReadonlyMap<string, number>;
  /** By service key: connections and streams that outlived the gate that held them, or came while there was none. */
  readonly unheld: ReadonlyMap<string, number>;
  /** One for each service of `unheld`, and for each endpoint that some Envoys pass over and others do not. */
  readonly problems: readonly Problem[];
  readonly health: EndpointHealth;
}

/** Throws GatewayError `bad_request` where the access log's file cannot be opened. */
export async function startWatch(deps: WatchDeps): Promise<Watch> {
  const { clock, gatekeeper, logger, routeOf, changed } = deps;
  await using scope = new AsyncDisposableStack();
  const teller = scope.use(await startTeller(deps));
  const lastUsed = new Map<string, number>();
  const tally = new Tally();
  const who = new WhoCame(deps);
  const health: EndpointHealth = new EndpointHealth({
    failures: deps.failures,
    trouble: () => asked?.look(),
    changed,
  });
  const asked = deps.admins === null ? null : scope.use(new AskedAdmins({ ...deps.admins, health, clock, logger }));
  const used = (service: string, at: number): void => {
    lastUsed.set(service, at);
    deps.used();
  };
  const book = scope.use(new Book({ gatekeeper, clock, logger, tally, who, routeOf, teller, used, changed }));
  const held = holdService({ book, clock, routeOf, who });
  const services = [asked?.beside(held) ?? held, logService({ book, health, tally, routeOf })];
  const end = scope.move();
  const routes = new ServiceRoutes();
  return {
    ...{ services, health, lastUsed },
    apply(diff) {
      book.apply(diff);
      asked?.apply(diff.routes);
      for (const service of routes.apply(diff)) {
        lastUsed.delete(service);
        tally.forget(service);
      }
      for (const { upstream, list } of diff.endpoints.set) health.keep(upstream, list);
      for (const upstream of diff.endpoints.removed) health.keep(upstream, []);
    },
    async figures() {
      const { logLines, spans } = teller.dropped;
      const local = deps.admins?.local ?? null;
      const untold = local === null ? 0 : await untoldEntries(local);
      return tally.figures({ logLines: logLines + untold, spans });
    },
    get endpoints() {
      return health.verdicts;
    },
    get unheld() {
      return book.unheld;
    },
    get problems() {
      const unheld = [...book.unheld].map(([subject, count]) => ({
        subject,
        code: "unheld_connections",
        message: unheldText(count),
      }));
      return [...unheld, ...(asked?.problems ?? [])];
    },
    [Symbol.asyncDispose]: () => end.disposeAsync(),
  };
}

function unheldText(count: number): string {
  const what = count === 1 ? "1 connection goes" : `${String(count)} connections go`;
  return `${what} on through Envoy that no gate can end: the gate that held them is gone. A right that is taken away now does not end them.`;
}

/** How many routes lead to each service: its figures end with the last. */
class ServiceRoutes {
  readonly #serviceOf = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** Returns the services that have none any more. */
  apply({ routes }: Pick<TableDiff, "routes">): readonly string[] {
    for (const { id, service } of routes.set) {
      this.#count(this.#serviceOf.get(id), -1);
      this.#serviceOf.set(id, service);
      this.#count(service, 1);
    }
    const gone = routes.removed.flatMap((id) => {
      const service = this.#serviceOf.get(id);
      this.#serviceOf.delete(id);
      return this.#count(service, -1) === 0 && service !== undefined ? [service] : [];
    });
    return gone;
  }

  #count(service: string | undefined, by: number): number {
    if (service === undefined) return 0;
    const count = (this.#counts.get(service) ?? 0) + by;
    if (count > 0) this.#counts.set(service, count);
    else this.#counts.delete(service);
    return count;
  }
}
