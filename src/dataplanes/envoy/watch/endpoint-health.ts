import { addressText, type Endpoint } from "../../../model/index.ts";
import { endpointKey } from "../../dataplane.ts";

export interface EndpointHealthDeps {
  /** Failures in a row from which on an endpoint counts as unhealthy. */
  readonly failures: number;
  readonly changed: () => void;
  /** Something failed: more may be known of it elsewhere. */
  readonly trouble: () => void;
}

/** What Envoy says of an endpoint by itself. */
export interface Sight {
  /** It passes it over, after failures. */
  readonly ejected: boolean;
  /** Whether it answers checks; null: there are none. */
  readonly checked: boolean | null;
}

/** Known of one endpoint: by requests, failures in a row; by Envoy, what it says itself. */
interface Known {
  failures: number;
  /** Epoch ms of the last answer. */
  answeredAt: number;
  /** It failed since Envoy was last asked. */
  fresh: boolean;
  sight: Sight;
  /** What is told of it. */
  verdict: "healthy" | "unhealthy" | null;
}

const UNSEEN: Sight = Object.freeze({ ejected: false, checked: null });

/**
 * Endpoints as Envoys see them: by what became of requests, which all Envoys tell, and by what one says that can be asked. The second alone
 * is exact: Envoy also counts failures by itself, and lets an endpoint be tried again when it thinks fit.
 */
export class EndpointHealth {
  readonly #deps: EndpointHealthDeps;
  /** By upstream, then by address. */
  readonly #upstreams = new Map<string, Map<string, Known>>();
  readonly #troubled = new Set<string>();
  #verdicts: ReadonlyMap<string, "healthy" | "unhealthy"> | null = null;

  constructor(deps: EndpointHealthDeps) {
    this.#deps = deps;
  }

  /** By `endpointKey`. The same map until something changes. */
  get verdicts(): ReadonlyMap<string, "healthy" | "unhealthy"> {
    if (this.#verdicts !== null) return this.#verdicts;
    const verdicts = new Map<string, "healthy" | "unhealthy">();
    for (const [upstream, addresses] of this.#upstreams) {
      for (const [address, { verdict }] of addresses)
        if (verdict !== null) verdicts.set(endpointKey(upstream, address), verdict);
    }
    return (this.#verdicts = verdicts);
  }

  /** Upstreams some endpoint of which failed lately, or is passed over. */
  get troubled(): ReadonlySet<string> {
    return this.#troubled;
  }

  /** A request was answered by it. `at`: epoch ms, as of failures: of answers and failures Envoy tells apart, so that the later may come first. */
  answered(upstream: string, address: string, at: number): void {
    const known = this.#of(upstream, address);
    known.answeredAt = Math.max(known.answeredAt, at);
    if (known.verdict === "healthy" && known.failures === 0) return;
    known.failures = 0;
    this.#judge(upstream, known);
  }

  /** It could not be reached, or broke off before an answer. */
  failed(upstream: string, address: string, at: number): void {
    const known = this.#of(upstream, address);
    if (at < known.answeredAt) return;
    known.failures += 1;
    known.fresh = true;
    this.#judge(upstream, known);
    this.#deps.trouble();
  }

  /** Envoy was asked for it. */
  sighted(upstream: string, address: string, sight: Sight): void {
    const known = this.#of(upstream, address);
    // It lets it be tried again, or has tried it: what failed before counts no more.
    if ((known.sight.ejected && !sight.ejected) || (known.sight.checked === false && sight.checked === true))
      known.failures = 0;
    known.fresh = false;
    known.sight = sight;
    this.#judge(upstream, known);
  }

  /** Only these are left of it. */
  keep(upstream: string, list: readonly Pick<Endpoint, "address">[]): void {
    const known = this.#upstreams.get(upstream);
    if (known === undefined) return;
    const addresses = new Set(list.map(({ address }) => addressText(address)));
    for (const address of known.keys()) if (!addresses.has(address)) known.delete(address);
    if (known.size === 0) this.#upstreams.delete(upstream);
    this.#noteTrouble(upstream);
    this.#verdicts = null;
  }

  #of(upstream: string, address: string): Known {
    let addresses = this.#upstreams.get(upstream);
    if (addresses === undefined) this.#upstreams.set(upstream, (addresses = new Map<string, Known>()));
    let known = addresses.get(address);
    if (known === undefined)
      addresses.set(address, (known = { failures: 0, answeredAt: 0, fresh: false, sight: UNSEEN, verdict: null }));
    return known;
  }

  #judge(upstream: string, known: Known): void {
    const { failures, sight, verdict } = known;
    const bad = sight.ejected || sight.checked === false || failures >= this.#deps.failures;
    this.#noteTrouble(upstream);
    // Fewer failures say nothing yet.
    this.#tell(known, bad ? "unhealthy" : failures > 0 ? verdict : "healthy");
  }

  #tell(known: Known, verdict: Known["verdict"]): void {
    if (verdict === known.verdict) return;
    known.verdict = verdict;
    this.#verdicts = null;
    this.#deps.changed();
  }

  #noteTrouble(upstream: string): void {
    const all = [...(this.#upstreams.get(upstream)?.values() ?? [])];
    if (all.some(({ fresh, sight }) => fresh || sight.ejected)) this.#troubled.add(upstream);
    else this.#troubled.delete(upstream);
  }
}
