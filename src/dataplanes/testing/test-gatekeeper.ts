import type { Decision, Gatekeeper, OpenUse, RequestHead, Route, Session, Use } from "../../model/index.ts";

export interface Opened {
  readonly session: Session | null;
  readonly use: Use;
  readonly route: Route;
  readonly cut: () => void;
  /** Routes that took the place of its own while it was open. */
  readonly moved: Route[];
  /** Set when it was closed. */
  bytes: { readonly in: number; readonly out: number } | null;
}

export const ALLOW: Extract<Decision, { kind: "allow" }> = Object.freeze({
  kind: "allow",
  session: null,
  strip: [],
  stripCookies: [],
  set: [],
  respond: [],
});

/** A gatekeeper that does what a test says, and remembers what was opened and closed. */
export class TestGatekeeper implements Gatekeeper {
  /** Of `check`. */
  checking: (route: Route, head: RequestHead) => Decision | { readonly kind: "ask" } = () => ALLOW;
  /** Of `admit`. */
  admitting: (route: Route, head: RequestHead, signal: AbortSignal) => Promise<Decision> = () => Promise.resolve(ALLOW);
  readonly seen: Opened[] = [];
  readonly refusals: { readonly use: Use; readonly route: Route | null }[] = [];

  check(route: Route, head: RequestHead): Decision | { readonly kind: "ask" } {
    return this.checking(route, head);
  }

  admit(route: Route, head: RequestHead, signal: AbortSignal): Promise<Decision> {
    return this.admitting(route, head, signal);
  }

  opened(use: Use, route: Route, cut: () => void): OpenUse {
    const opened: Opened = { session: use.session, use, route, cut, moved: [], bytes: null };
    this.seen.push(opened);
    return {
      closed() {
        if (opened.bytes !== null) throw new Error("closed twice");
        opened.bytes = { in: use.bytesIn, out: use.bytesOut };
      },
      moved: (route) => void opened.moved.push(route),
    };
  }

  refused(use: Use, route: Route | null): void {
    this.refusals.push({ use, route });
  }

  /** What is open now. */
  get open(): readonly Opened[] {
    return this.seen.filter(({ bytes }) => bytes === null);
  }
}
