import { addressText, type Endpoint } from "../../../model/index.ts";
import { endpointKey } from "../../dataplane.ts";

export interface EndpointHealthDeps {
  /** Failures in a row from which on an endpoint counts as unhealthy. */
  readonly failures: number;
  readonly changed: () => void;
  /** Something failed: more may be known of it elsewhere. */
  readonly trouble: () => void;
}

/** What an Envoy says of an endpoint by itself. */
export interface Sight {
  /** It passes it over, after failures. */
  readonly ejected: boolean;
  /** Whether it answers checks; null: there are none. */
  readonly checked: boolean | null;
}

/** Where somebody saw it. */
export interface Seen {
  /** Which Envoy did, by whatever tells them apart. */
  readonly envoy: string;
  readonly upstream: string;
  /** As `addressText` spells it. */
  readonly address: string;
}

/** An endpoint of which Envoys say different things. */
export interface Dispute {
  readonly upstream: string;
  readonly address: string;
  /** Those that pass it over. */
  readonly against: readonly string[];
}

type Verdict = "healthy" | "unhealthy";

/** Of one endpoint, by one Envoy: by requests, failures in a row; by itself, what it says. */
interface View {
  failures: number;
  /** Epoch ms of the last answer, by that Envoy's clock. */
  answeredAt: number;
  /** It failed since the Envoy was last asked. */
  fresh: boolean;
  sight: Sight;
  /** null: it has nothing to say. */
  verdict: Verdict | null;
}

interface Known {
  /** The last answer: of those without a view nothing else is kept. */
  answered: { readonly envoy: string; at: number } | null;
  /** By Envoy: of endpoints that are checked, and of those that somebody has trouble with. */
  readonly views: Map<string, View>;
  /** What is told of it. */
  verdict: Verdict | null;
}

const UNSEEN: Sight = Object.freeze({ ejected: false, checked: null });
const NONE: ReadonlySet<string> = new Set();

/**
 * Endpoints as Envoys see them: by what became of requests, which all Envoys tell, and by what those say that can be asked. The second alone
 * is exact: an Envoy also counts failures by itself, and lets an endpoint be tried again when it thinks fit. An endpoint is unhealthy when all
 * that have something to say of it say so.
 */
export class EndpointHealth {
  readonly #deps: EndpointHealthDeps;
  /** By upstream, then by address. */
  readonly #upstreams = new Map<string, Map<string, Known>>();
  /** By Envoy. */
  readonly #troubled = new Map<string, Set<string>>();
  /** By `endpointKey`. */
  readonly #disputes = new Map<string, Dispute>();
  #verdicts: ReadonlyMap<string, Verdict> | null = null;

  constructor(deps: EndpointHealthDeps) {
    this.#deps = deps;
  }

  /** By `endpointKey`. The same map until something changes. */
  get verdicts(): ReadonlyMap<string, Verdict> {
    if (this.#verdicts !== null) return this.#verdicts;
    const verdicts = new Map<string, Verdict>();
    for (const [upstream, addresses] of this.#upstreams) {
      for (const [address, { verdict }] of addresses)
        if (verdict !== null) verdicts.set(endpointKey(upstream, address), verdict);
    }
    return (this.#verdicts = verdicts);
  }

  /** Endpoints that some Envoys pass over and others do not. */
  get disputes(): Iterable<Dispute> {
    return this.#disputes.values();
  }

  /** Upstreams some endpoint of which failed lately at this Envoy, or is passed over by it. */
  troubled(envoy: string): ReadonlySet<string> {
    return this.#troubled.get(envoy) ?? NONE;
  }

  /** A request was answered by it. `at`: epoch ms, as of failures: of answers and failures Envoy tells apart, so that the later may come first. */
  answered(seen: Seen, at: number): void {
    const { envoy } = seen;
    const known = this.#of(seen);
    if (known.answered?.envoy === envoy) known.answered.at = Math.max(known.answered.at, at);
    else known.answered = { envoy, at };
    if (known.views.size === 0 && known.verdict === "healthy") return;
    const view = viewOf(known, envoy);
    view.answeredAt = Math.max(view.answeredAt, at);
    view.failures = 0;
    this.#judge(seen, known, view);
  }

  /** It could not be reached, or broke off before an answer. */
  failed(seen: Seen, at: number): void {
    const known = this.#of(seen);
    if (at < lastAnswer(known, seen.envoy)) return;
    const view = viewOf(known, seen.envoy);
    view.failures += 1;
    view.fresh = true;
    this.#judge(seen, known, view);
    this.#deps.trouble();
  }

  /** The Envoy was asked for it. */
  sighted(seen: Seen, sight: Sight): void {
    const known = this.#of(seen);
    // Where nobody has trouble, one that sees none has nothing to add.
    if (known.views.size === 0 && !sight.ejected && sight.checked === null) return;
    const view = viewOf(known, seen.envoy);
    // It lets it be tried again, or has tried it: what failed before counts no more.
    if ((view.sight.ejected && !sight.ejected) || (view.sight.checked === false && sight.checked === true))
      view.failures = 0;
    view.fresh = false;
    view.sight = sight;
    this.#judge(seen, known, view);
  }

  /** Only these are left of it. */
  keep(upstream: string, list: readonly Pick<Endpoint, "address">[]): void {
    const all = this.#upstreams.get(upstream);
    if (all === undefined) return;
    const addresses = new Set(list.map(({ address }) => addressText(address)));
    const envoys = new Set<string>();
    for (const [address, { views }] of all) {
      if (addresses.has(address)) continue;
      for (const envoy of views.keys()) envoys.add(envoy);
      all.delete(address);
      this.#disputes.delete(endpointKey(upstream, address));
    }
    if (all.size === 0) this.#upstreams.delete(upstream);
    for (const envoy of envoys) this.#noteTrouble(envoy, upstream);
    this.#verdicts = null;
  }

  /** The Envoy is gone, and with it what it said. */
  forget(envoy: string): void {
    this.#troubled.delete(envoy);
    for (const [upstream, addresses] of this.#upstreams) {
      for (const [address, known] of addresses)
        if (known.views.delete(envoy)) this.#settle({ envoy, upstream, address }, known);
    }
  }

  #of({ upstream, address }: Seen): Known {
    let addresses = this.#upstreams.get(upstream);
    if (addresses === undefined) this.#upstreams.set(upstream, (addresses = new Map<string, Known>()));
    let known = addresses.get(address);
    if (known === undefined) addresses.set(address, (known = { answered: null, views: new Map(), verdict: null }));
    return known;
  }

  #judge(seen: Seen, known: Known, view: View): void {
    const { failures, sight } = view;
    const bad = sight.ejected || sight.checked === false || failures >= this.#deps.failures;
    // Fewer failures say nothing yet, and neither does who was never asked for anything of it.
    const knows = sight.checked === true || view.answeredAt > 0 || view.verdict !== null;
    if (bad) view.verdict = "unhealthy";
    else if (failures === 0 && knows) view.verdict = "healthy";
    this.#noteTrouble(seen.envoy, seen.upstream);
    this.#settle(seen, known);
  }

  /** What all views come to. */
  #settle(seen: Seen, known: Known): void {
    const against = [...known.views].flatMap(([envoy, { verdict }]) => (verdict === "unhealthy" ? [envoy] : []));
    const isPraised = known.views.values().some(({ verdict }) => verdict === "healthy");
    const isNews = this.#dispute(seen, isPraised ? against : []);
    const verdict = isPraised ? "healthy" : against.length > 0 ? "unhealthy" : leftOf(known);
    if (against.length === 0) forgetIdle(known.views);
    if (verdict === known.verdict && !isNews) return;
    known.verdict = verdict;
    this.#verdicts = null;
    this.#deps.changed();
  }

  /** Returns whether that is another dispute than before. */
  #dispute({ upstream, address }: Seen, against: readonly string[]): boolean {
    const key = endpointKey(upstream, address);
    const before = this.#disputes.get(key)?.against ?? [];
    if (against.length > 0) this.#disputes.set(key, { upstream, address, against: against.toSorted() });
    else this.#disputes.delete(key);
    return before.length !== against.length || against.some((envoy) => !before.includes(envoy));
  }

  #noteTrouble(envoy: string, upstream: string): void {
    const views = [...(this.#upstreams.get(upstream)?.values() ?? [])].map((known) => known.views.get(envoy));
    const isTroubled = views.some((view) => view !== undefined && (view.fresh || view.sight.ejected));
    const all = this.#troubled.get(envoy);
    if (!isTroubled) all?.delete(upstream);
    else if (all === undefined) this.#troubled.set(envoy, new Set([upstream]));
    else all.add(upstream);
  }
}

/** Where nobody has a say: what was good stays so, what was bad is not known any more. */
function leftOf({ views, verdict }: Known): Verdict | null {
  return views.size === 0 && verdict === "unhealthy" ? null : verdict;
}

function lastAnswer({ views, answered }: Known, envoy: string): number {
  return views.get(envoy)?.answeredAt ?? (answered?.envoy === envoy ? answered.at : 0);
}

function viewOf(known: Known, envoy: string): View {
  let view = known.views.get(envoy);
  if (view === undefined) {
    view = { failures: 0, answeredAt: lastAnswer(known, envoy), fresh: false, sight: UNSEEN, verdict: null };
    known.views.set(envoy, view);
  }
  return view;
}

/** Views without trouble are needed against others' alone; what is checked is asked for all the same. */
function forgetIdle(views: Map<string, View>): void {
  for (const [envoy, { failures, fresh, sight }] of views)
    if (failures === 0 && !fresh && sight.checked === null) views.delete(envoy);
}
