import type { CutReason, RequestHead, Route, Session, TrafficKind, Use } from "../../../model/index.ts";
import type { LoggedFlow } from "../../describe-flow.ts";
import type { Source } from "../../figures.ts";
import type { Facts } from "./facts.ts";

/** Who came, for what. */
export interface Came extends Pick<Facts, "kind" | "peer" | "asked" | "startedAt"> {
  readonly requestId: string;
  readonly session: Session | null;
  /** null: for nothing that there is. */
  readonly route: Route | null;
}

/** One request, stream or connection as Envoy tells of it; its figures are those of the last time. Times are epoch ms. */
export class EnvoyFlow implements Use, LoggedFlow {
  readonly kind: TrafficKind;
  readonly peer: string;
  readonly asked: Facts["asked"];
  readonly requestId: string;
  readonly session: Session | null;
  readonly route: Route | null;
  readonly startedAt: number;
  bytesIn = 0;
  bytesOut = 0;
  largestIn = 0;
  cutFor: CutReason | null = null;
  status = 0;
  source: Source = "app";
  code: string | null = null;
  aborted = false;
  tried: { readonly key: string } | null = null;
  tries = 0;
  firstByteAt = 0;
  closedAt = 0;

  constructor({ kind, peer, asked, requestId, session, route, startedAt }: Came) {
    this.kind = kind;
    this.peer = peer;
    this.asked = asked;
    this.requestId = requestId;
    this.session = session;
    this.route = route;
    this.startedAt = startedAt;
  }

  get head(): RequestHead | null {
    return this.asked?.head ?? null;
  }

  get overAt(): number {
    return this.closedAt;
  }

  get since(): number {
    return this.startedAt;
  }

  get until(): number | undefined {
    return this.closedAt === 0 ? undefined : this.closedAt;
  }

  tell(facts: Facts): void {
    // Envoy tells sums, not pieces: what came since the last time is as near as it gets.
    this.largestIn = Math.max(this.largestIn, facts.bytesIn - this.bytesIn);
    this.bytesIn = facts.bytesIn;
    this.bytesOut = facts.bytesOut;
    this.status = facts.status;
    this.source = facts.source;
    this.code = facts.code;
    this.tries = facts.tries;
    this.tried = facts.endpoint === null ? this.tried : { key: facts.endpoint };
    this.firstByteAt = facts.firstByteAt;
    this.aborted = facts.aborted && (this.kind === "http" || this.kind === "grpc");
    this.closedAt = facts.endedAt;
  }
}
