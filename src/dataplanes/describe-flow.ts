import type { RequestHead, Route, Session, TrafficKind } from "../model/index.ts";
import type { Source } from "./figures.ts";

/** What the access log tells of one request, stream or connection that is over, whichever plane saw it. Times are ms of one clock. */
export interface LoggedFlow {
  readonly kind: TrafficKind;
  /** IP address of who connected. */
  readonly peer: string;
  /** null: it speaks no HTTP. */
  readonly asked: {
    readonly version: string;
    readonly head: Pick<RequestHead, "method" | "host" | "path" | "secure">;
  } | null;
  readonly requestId: string;
  readonly session: Session | null;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Of the answer; 0: there was none. */
  readonly status: number;
  readonly source: Source;
  readonly code: string | null;
  /** It ended before its answer was whole. */
  readonly aborted: boolean;
  readonly route: Pick<Route, "service" | "replica"> | null;
  /** The last endpoint that was tried, by its address. */
  readonly tried: { readonly key: string } | null;
  readonly tries: number;
  readonly startedAt: number;
  /** 0: no answer came. */
  readonly firstByteAt: number;
  readonly closedAt: number;
  /** Epoch ms at which it was over; absent: just now. */
  readonly overAt?: number;
}

/** Path as logs may hold it. Queries hold tokens: `?` says that there was one. */
export function pathOf(path: string, withQuery: boolean): string {
  const query = withQuery ? -1 : path.indexOf("?");
  return query < 0 ? path : path.slice(0, query + 1);
}

/** `HTTP/1.1`, `HTTP/2`; of what is not HTTP, its kind. */
export function protocolOf({ asked, kind }: Pick<LoggedFlow, "asked" | "kind">): string {
  return asked === null ? kind.toUpperCase() : `HTTP/${asked.version}`;
}
