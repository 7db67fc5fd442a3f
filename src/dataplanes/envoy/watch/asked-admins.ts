import type { Changed, Problem, Route } from "../../../model/index.ts";
import type { GrpcService } from "../grpc-server.ts";
import type { AskAdmin } from "../local/ask-admin.ts";
import { LOCAL_FLEET } from "../names.ts";
import { AdminRelay, type AdminRelayDeps } from "./admin-relay.ts";
import { ClusterPoll, type ClusterPollDeps } from "./cluster-poll.ts";
import type { Dispute, EndpointHealth } from "./endpoint-health.ts";
import type { holdService } from "./hold-service.ts";

export interface AskedAdminsDeps
  extends Pick<ClusterPollDeps, "clusterOf" | "logger">, Pick<AdminRelayDeps, "admit" | "clock"> {
  /** Of the Envoy of this machine; null: there is none. */
  readonly local: AskAdmin | null;
  readonly health: EndpointHealth;
}

/** Envoys that say how their endpoints are: the one of this machine when it is asked, others when they come to be asked. */
export class AskedAdmins implements AsyncDisposable {
  readonly #health: EndpointHealth;
  readonly #poll: ClusterPoll;
  readonly #relay: AdminRelay;

  constructor(deps: AskedAdminsDeps) {
    this.#health = deps.health;
    this.#poll = new ClusterPoll(deps);
    if (deps.local !== null) this.#poll.follow(LOCAL_FLEET, deps.local);
    this.#relay = new AdminRelay({ ...deps, came: (envoy, ask) => this.#follow(envoy, ask) });
  }

  apply(routes: Changed<Route>): void {
    this.#poll.apply(routes);
  }

  /** There may be something to ask for. */
  look(): void {
    this.#poll.look();
  }

  /** Of endpoints that some Envoys pass over and others do not. */
  get problems(): readonly Problem[] {
    return [...this.#health.disputes].map((dispute) => ({
      subject: this.#poll.serviceOf(dispute.upstream) ?? dispute.upstream,
      code: "endpoint_disputed",
      message: textOf(dispute),
    }));
  }

  /** Envoys come by the service of what is held, as both are ext_proc. */
  beside({ definition, implementation }: ReturnType<typeof holdService>): GrpcService {
    const process = (call: Parameters<typeof implementation.process>[0]): void => {
      if (AdminRelay.isOf(call)) this.#relay.open(call);
      else implementation.process(call);
    };
    return { definition, implementation: { process } };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay[Symbol.asyncDispose]();
    await this.#poll[Symbol.asyncDispose]();
  }

  #follow(envoy: string, ask: AskAdmin): AsyncDisposable {
    const followed = this.#poll.follow(envoy, ask);
    return {
      [Symbol.asyncDispose]: async () => {
        await followed[Symbol.asyncDispose]();
        this.#health.forget(envoy);
      },
    };
  }
}

function textOf({ address, against }: Dispute): string {
  return `${against.join(", ")} ${against.length === 1 ? "passes" : "pass"} over ${address}, which other Envoys reach.`;
}
