import {
  type CutReason,
  type Identity,
  type OpenUse,
  type Route,
  sameIdentity,
  type Session,
  type Use,
} from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import { askedRoute } from "./permissions.ts";
import { rootOf } from "./revocations.ts";
import { createUsageCounts, type Usage, type UsageCounts } from "./usage.ts";
import type { Recorded, UseRecorder } from "./use-recorder.ts";

const SWEEP_MS = 1_000;

/** Every open connection and stream, and what each service was used for. */
export interface LiveSessions extends Disposable {
  opened(use: Use, route: Route, cut: () => void): OpenUse;
  /** Closes what is open of a session, or of all sessions of a login. */
  cut(id: string): void;
  /** Closes what is open of somebody, whatever they showed. */
  cutUser(user: Identity): void;
  /** By service. */
  usage(): ReadonlyMap<string, Usage>;
}

export interface LiveDeps {
  readonly recorder: Pick<UseRecorder, "opened" | "closed">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly isRevoked: (session: Session) => boolean;
  /** Whether the route's access still lets them in; undefined: an authority is to be asked. */
  readonly mayStay: (session: Session, route: Route) => boolean | undefined;
  /** For a session that has ended or does not suffice: until when (epoch ms) it may go on, because its login stands and access holds; null: not at all. */
  readonly prolong: (session: Session, route: Route) => Promise<number | null>;
}

/** Looks every second, while anything is open, for what has to end: sessions and grants that ran out. */
export function startLive(deps: LiveDeps): LiveSessions {
  return new Registry(deps);
}

/** Until a login is asked after again that could not be looked up. */
const AGAIN_MS = 10_000;

/** A connection or stream: open → closed, by itself or cut. */
class Live implements OpenUse {
  readonly use: Use;
  readonly session: Session | null;
  readonly recorded: Recorded | null;
  readonly cut: () => void;
  /** That it is open by now. */
  route: Route;
  /** Epoch ms; then it is asked whether it may go on. */
  checkAt: number;
  /** About which somebody is being asked. */
  asking: Route | null = null;
  /** Those of the same login; null: of nobody, or not open any more. */
  siblings: Set<Live> | null = null;
  readonly #registry: Registry;
  #open = true;

  constructor(registry: Registry, { use, route, cut }: Opening, recorded: Recorded | null) {
    this.#registry = registry;
    this.use = use;
    this.session = use.session;
    this.route = route;
    this.cut = cut;
    this.recorded = recorded;
    this.checkAt = use.session?.renewAt ?? Infinity;
  }

  get open(): boolean {
    return this.#open;
  }

  /** The route as permission for it is asked about: what may change something is let in, and stays, by another action. */
  get asked(): Route {
    const { head } = this.use;
    return head === null ? this.route : askedRoute(this.route, head);
  }

  closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#registry.closed(this);
  }

  moved(route: Route): void {
    this.route = route;
    if (this.#open) this.#registry.judge(this);
  }
}

interface Opening {
  readonly use: Use;
  readonly route: Route;
  readonly cut: () => void;
}

class Registry implements LiveSessions {
  readonly #deps: LiveDeps;
  readonly #usage: UsageCounts;
  /** What is open, by login; those of whom nothing is open go with the next look. */
  readonly #byLogin = new Map<string, Set<Live>>();
  /** Whose request came last: the next one is mostly theirs, too. */
  #last: { readonly session: Session | null; readonly siblings: Set<Live> } = NO_SESSION;
  /** null: nothing is open. */
  #timer: Disposable | null = null;
  #disposed = false;

  constructor(deps: LiveDeps) {
    this.#deps = deps;
    this.#usage = createUsageCounts(deps.clock);
  }

  opened(use: Use, route: Route, cut: () => void): Live {
    this.#usage.opened(route.service);
    const live = new Live(this, { use, route, cut }, this.#deps.recorder.opened(use, route));
    if (use.session !== null) this.#add(live, use.session);
    return live;
  }

  closed(live: Live): void {
    const { use, route, recorded } = live;
    this.#forget(live);
    this.#usage.closed(route.service, use.bytesIn, use.bytesOut);
    if (recorded !== null) this.#deps.recorder.closed(use, route, recorded);
  }

  usage(): ReadonlyMap<string, Usage> {
    return this.#usage.snapshot();
  }

  #add(live: Live, session: Session): void {
    if (this.#deps.isRevoked(session)) {
      // Revoked since its admission. Not cut within this call: the caller has no handle yet.
      queueMicrotask(() => this.#end(live, "revoked"));
      return;
    }
    live.siblings = this.#siblingsOf(session).add(live);
    this.#schedule();
  }

  #siblingsOf(session: Session): Set<Live> {
    if (session === this.#last.session) return this.#last.siblings;
    const root = rootOf(session.id);
    let siblings = this.#byLogin.get(root);
    if (siblings === undefined) this.#byLogin.set(root, (siblings = new Set()));
    this.#last = { session, siblings };
    return siblings;
  }

  cut(id: string): void {
    const whole = rootOf(id) === id;
    for (const live of [...(this.#byLogin.get(rootOf(id)) ?? [])]) {
      if (whole || live.session?.id === id) this.#end(live, "revoked");
    }
  }

  cutUser(user: Identity): void {
    for (const live of this.#all()) {
      if (live.session !== null && sameIdentity(live.session.principal, user)) this.#end(live, "revoked");
    }
  }

  /** Its route's access may be another one now. */
  judge(live: Live): void {
    const { session, route } = live;
    if (session === null) {
      if (needsSession(route)) this.#end(live, "access_lost");
    } else if (this.#deps.mayStay(session, live.asked) !== true) void this.#check(live, session);
  }

  #all(): readonly Live[] {
    return [...this.#byLogin.values()].flatMap((siblings) => [...siblings]);
  }

  #forget(live: Live): void {
    live.siblings?.delete(live);
    live.siblings = null;
  }

  #end(live: Live, reason: CutReason): void {
    this.#forget(live);
    live.use.cutFor ??= reason;
    try {
      live.cut();
    } catch (error) {
      // One connection that cannot be closed must not keep the next one open.
      this.#deps.logger.error({ err: error, service: live.route.service }, "connection could not be cut");
    }
  }

  #schedule(): void {
    if (this.#disposed || this.#timer !== null || this.#byLogin.size === 0) return;
    this.#timer = this.#deps.clock.after(SWEEP_MS, () => this.#look());
  }

  /** Waits for nobody: who takes long to answer about one keeps no other open. */
  #look(): void {
    this.#timer = null;
    const now = this.#deps.clock.now();
    this.#last = NO_SESSION;
    for (const [root, siblings] of this.#byLogin) {
      if (siblings.size === 0) this.#byLogin.delete(root);
      for (const live of siblings) {
        const { session } = live;
        if (session !== null && live.asking !== live.route && !this.#isGood(live, session, now)) {
          void this.#check(live, session);
        }
      }
    }
    this.#schedule();
  }

  #isGood({ checkAt, asked }: Live, session: Session, now: number): boolean {
    return now < checkAt && this.#deps.mayStay(session, asked) !== false;
  }

  /** Asks about one whose time is up, or whose session does not suffice: its login may, with the groups of today. */
  async #check(live: Live, session: Session): Promise<void> {
    const { clock, logger, prolong } = this.#deps;
    const { route, asked } = live;
    const mayStay = this.#deps.mayStay(session, asked) !== false;
    const reason = mayStay && clock.now() >= live.checkAt ? "expired" : "access_lost";
    live.asking = route;
    try {
      const until = await prolong(session, asked);
      if (this.#isMoot(live, route)) return;
      if (until === null) this.#end(live, reason);
      else live.checkAt = until;
    } catch (error) {
      if (this.#isMoot(live, route)) return;
      if (mayStay && clock.now() < session.expiresAt) {
        live.checkAt = clock.now() + AGAIN_MS; // what it was let in by is good for longer
        return;
      }
      // Nobody can say that it may go on, so it may not: closed by default.
      logger.warn({ err: error, service: route.service }, "session ended: its login could not be checked");
      this.#end(live, reason);
    } finally {
      if (live.asking === route) live.asking = null;
    }
  }

  /** What was asked about is not so any more; what is so now is judged. */
  #isMoot(live: Live, route: Route): boolean {
    if (!live.open) return true;
    if (live.route === route) return false;
    this.judge(live);
    return true;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
  }
}

const NO_SESSION: { readonly session: null; readonly siblings: Set<Live> } = { session: null, siblings: new Set() };

/** Raw ports and TLS that is passed through carry no login: that there is such a route is all that lets somebody in. */
function needsSession({ guard, access, match }: Route): boolean {
  return guard === "gate" && access.anyone !== "public" && match.by !== "port" && match.by !== "serverName";
}
