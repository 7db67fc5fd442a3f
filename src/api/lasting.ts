import type { Context } from "hono";
import type { ApiEnv } from "./api-env.ts";
import type { ApiDeps } from "./deps.ts";

/** Longest delay that a timer takes, in ms. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** How long an answer that goes on may go on. Disposed when it is over. */
export interface Lasting extends Disposable {
  /** Aborted when the gate ends, the visitor leaves, or the login that was shown is revoked or expires. */
  readonly signal: AbortSignal;
}

/** Of the answer to `c`, whose visitor has logged in. `ended` is called once, when it is over. */
export function lastingAnswer(c: Context<ApiEnv>, deps: ApiDeps, ended: () => void = () => undefined): Lasting {
  const { principal } = c.var;
  const scope = new DisposableStack();
  scope.defer(ended);
  const over = new AbortController();
  const end = () => over.abort();
  scope.use(deps.auth.whileValid(principal, end));
  const expiresAt = principal.credential?.expiresAt ?? Infinity;
  scope.use(deps.clock.after(Math.min(expiresAt - deps.clock.now(), LONGEST_TIMER_MS), end));
  return {
    signal: AbortSignal.any([deps.signal, c.req.raw.signal, over.signal]),
    [Symbol.dispose]: () => scope.dispose(),
  };
}
