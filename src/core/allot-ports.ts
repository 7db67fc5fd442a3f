import { matchKey, type Claim, type Match, type Problem, type Route } from "../model/index.ts";
import { nameHash } from "./name-hosts.ts";
import type { ProblemBook } from "./problem-book.ts";
import type { ClaimBook } from "./resolve-claims.ts";
import { mayHoldPort, type TableRules } from "./table-rules.ts";

/** A service that gets whichever raw port is free. */
export interface PortSeeker {
  /** Service key. */
  readonly key: string;
  /** Called with the port that it gets. */
  readonly make: (match: Match) => Route;
  readonly granted: (route: Route) => void;
}

/**
 * Allots raw ports: the one that a service had before, else the first free one from a position on that its key decides. In order of
 * service keys, so the order in which services come does not matter. Where claims are decided elsewhere, a service has the port that was
 * decided, and waits until then.
 */
export class PortBook {
  readonly #rules: TableRules;
  readonly #claims: ClaimBook;
  readonly #problems: ProblemBook;
  readonly #seekers = new Map<string, PortSeeker>();
  /** Ports that services had and may have again, by service key. */
  readonly #remembered = new Map<string, Set<number>>();
  readonly #exhausted = new Map<string, Problem>();
  #sought = false;
  #releasedBefore = 0;

  constructor(rules: TableRules, deps: { readonly claims: ClaimBook; readonly problems: ProblemBook }) {
    this.#rules = rules;
    this.#claims = deps.claims;
    this.#problems = deps.problems;
    for (const claim of deps.claims.claims.entries.values()) this.remember(claim);
  }

  /** A service whose port is claimed may get it again. */
  remember(claim: Pick<Claim, "match" | "service">): void {
    if (claim.match.by !== "port") return;
    const ports = this.#remembered.get(claim.service) ?? new Set();
    this.#remembered.set(claim.service, ports.add(claim.match.port));
  }

  /** Whose a port is was decided elsewhere: `before` had it until now, `after` has it from now on. */
  decided(before: Claim | undefined, after: Claim | null): void {
    if (before?.match.by === "port") this.#remembered.get(before.service)?.delete(before.match.port);
    if (after?.match.by !== "port") return;
    this.remember(after);
    this.#sought = true;
  }

  seek(seeker: PortSeeker): void {
    this.#seekers.set(seeker.key, seeker);
    this.#sought = true;
  }

  seeks(key: string): boolean {
    return this.#seekers.has(key);
  }

  giveUp(key: string): void {
    if (!this.#seekers.delete(key)) return;
    const problem = this.#exhausted.get(key);
    if (problem === undefined) return;
    this.#exhausted.delete(key);
    this.#problems.remove(problem);
  }

  /** Gives ports to those who seek one. Call after all ports asked for by number are decided. */
  settle(): void {
    // Those who found none look again when something was released.
    if (!this.#sought && (this.#seekers.size === 0 || this.#releasedBefore === this.#claims.released)) return;
    this.#sought = false;
    this.#releasedBefore = this.#claims.released;
    const seekers = [...this.#seekers.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const seeker of seekers) {
      const port = this.#formerPort(seeker.key);
      if (port !== undefined) this.#grant(seeker, port);
    }
    let isFull = false;
    for (const seeker of seekers) {
      if (!this.#seekers.has(seeker.key)) continue;
      const port: number | undefined = isFull ? undefined : this.#freePort(seeker.key);
      isFull = port === undefined;
      if (port === undefined) this.#refuse(seeker.key);
      else if (!this.#claims.isDecidedElsewhere) this.#grant(seeker, port);
    }
  }

  /** Claims of ports for those who wait for one. `now`: epoch ms. */
  wanted(now: number): readonly Claim[] {
    const given = new Set<number>();
    const claims: Claim[] = [];
    for (const key of [...this.#seekers.keys()].sort()) {
      const port = this.#freePort(key, given);
      if (port === undefined) break;
      given.add(port);
      claims.push({ match: { by: "port", port }, service: key, since: now });
    }
    return claims;
  }

  #formerPort(key: string): number | undefined {
    const remembered = [...(this.#remembered.get(key) ?? [])];
    return remembered.find((port) => {
      const id = portKey(port);
      return this.#claims.claims.get(id)?.service === key && !this.#claims.routes.has(id);
    });
  }

  #freePort(key: string, given: ReadonlySet<number> = NONE): number | undefined {
    const { from, to } = this.#rules.ports;
    const size = to - from + 1;
    const start = startOf(key, size);
    for (let step = 0; step < size; step++) {
      const port = from + ((start + step) % size);
      // Ports that config names are for those services alone, even while they are away.
      if (this.#rules.reservedPorts.has(port) || !mayHoldPort(this.#rules, key, port)) continue;
      if (!given.has(port) && !this.#claims.claims.has(portKey(port))) return port;
    }
    return undefined;
  }

  #grant(seeker: PortSeeker, port: number): void {
    this.giveUp(seeker.key);
    this.#forget(seeker.key, port);
    const route = seeker.make({ by: "port", port });
    this.#claims.place(route, true);
    seeker.granted(route);
  }

  // A service needs one port only: were more of them remembered, the others become free.
  #forget(key: string, kept: number): void {
    for (const port of this.#remembered.get(key) ?? []) {
      const id = portKey(port);
      if (port === kept || this.#claims.routes.has(id) || this.#claims.claims.get(id)?.service !== key) continue;
      this.#claims.releaseClaim(id);
    }
    // Decided elsewhere, it may yet be told that of several it has another one.
    if (!this.#claims.isDecidedElsewhere) this.#remembered.delete(key);
  }

  #refuse(key: string): void {
    if (this.#exhausted.has(key)) return;
    const { from, to } = this.#rules.ports;
    const message = `All ports of ${from}-${to} are held. Widen the config's tcp.ports, or stop what is not needed.`;
    const problem: Problem = Object.freeze({ subject: key, code: "ports_exhausted", message });
    this.#exhausted.set(key, problem);
    this.#problems.add(problem);
  }
}

const NONE: ReadonlySet<number> = new Set();

function portKey(port: number): string {
  return matchKey({ by: "port", port });
}

// The same service tends to get the same port, even where its claim was lost.
function startOf(key: string, size: number): number {
  let value = 0;
  for (const letter of nameHash(key).slice(0, 8)) value = (value * 31 + letter.charCodeAt(0)) % 4_294_967_291;
  return value % size;
}
