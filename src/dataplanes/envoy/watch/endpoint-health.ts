import { endpointKey } from "../../dataplane.ts";

export interface EndpointHealthDeps {
  /** Failures in a row from which on an endpoint counts as unhealthy. */
  readonly failures: number;
  readonly changed: () => void;
}

/** What Envoy says of an endpoint by itself. */
export type Sight = "ejected" | "returned" | "check_failed" | "check_passed";

/** Known of one endpoint. By requests: failures in a row. By Envoy: whether it passes it over, and whether it answers checks. */
interface Known {
  failures: number;
  ejected: boolean;
  checkFailed: boolean;
  /** What is told of it. */
  verdict: "healthy" | "unhealthy" | null;
}

/** Endpoints as Envoys see them: by what became of requests, and by what they say of ejections and checks. */
export class EndpointHealth {
  readonly #deps: EndpointHealthDeps;
  /** By upstream, then by address. */
  readonly #upstreams = new Map<string, Map<string, Known>>();
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

  /** A request was answered by it. */
  answered(upstream: string, address: string): void {
    const known = this.#of(upstream, address);
    if (known.verdict === "healthy" && known.failures === 0) return;
    known.failures = 0;
    this.#judge(known);
  }

  /** It could not be reached, or broke off before an answer. */
  failed(upstream: string, address: string): void {
    const known = this.#of(upstream, address);
    known.failures += 1;
    this.#judge(known);
  }

  sighted(upstream: string, address: string, sight: Sight): void {
    const known = this.#of(upstream, address);
    if (sight === "ejected" || sight === "returned") known.ejected = sight === "ejected";
    else known.checkFailed = sight === "check_failed";
    // Envoy lets it be tried again, or has tried it: what failed before counts no more.
    if (sight === "returned" || sight === "check_passed") known.failures = 0;
    this.#judge(known);
  }

  /** Only these addresses are left of it. */
  keep(upstream: string, addresses: ReadonlySet<string>): void {
    const known = this.#upstreams.get(upstream);
    if (known === undefined) return;
    for (const address of known.keys()) if (!addresses.has(address)) known.delete(address);
    if (known.size === 0) this.#upstreams.delete(upstream);
    this.#verdicts = null;
  }

  #of(upstream: string, address: string): Known {
    let addresses = this.#upstreams.get(upstream);
    if (addresses === undefined) this.#upstreams.set(upstream, (addresses = new Map<string, Known>()));
    let known = addresses.get(address);
    if (known === undefined)
      addresses.set(address, (known = { failures: 0, ejected: false, checkFailed: false, verdict: null }));
    return known;
  }

  #judge(known: Known): void {
    const { failures, ejected, checkFailed, verdict } = known;
    const bad = ejected || checkFailed || failures >= this.#deps.failures;
    const now = bad ? "unhealthy" : failures > 0 ? verdict : "healthy";
    if (now === verdict) return;
    known.verdict = now;
    this.#verdicts = null;
    this.#deps.changed();
  }
}
