import { type Changed, type Claim, isGateService, type Problem, type Route } from "../model/index.ts";
import { KeptEntries } from "./kept-entries.ts";
import type { ProblemBook } from "./problem-book.ts";
import { matchText } from "./table-rules.ts";

interface Waiting {
  readonly route: Route;
  readonly claimed: boolean;
  /** null: it is not decided yet who has the name. */
  readonly problem: Problem | null;
}

export interface ClaimBookDeps {
  readonly problems: ProblemBook;
  readonly touch: (subject: string) => void;
  /** See `TableOptions.claims`. */
  readonly isDecidedElsewhere: boolean;
}

/**
 * Decides who has a name or port. Who has it keeps it (by the claim, which outlives the gate, or by the route); among those who come for
 * it in one build the smallest service key has it, so the order in which they come does not matter. The others wait, with a Problem.
 * Where it is decided elsewhere, whoever comes waits until `decide` says whose the name is, and who leaves keeps it until `decide` says that
 * it is free; `wanted` is what this table would have decided.
 */
export class ClaimBook {
  readonly routes = new KeptEntries<Route>();
  readonly claims: KeptEntries<Claim>;
  readonly #problems: ProblemBook;
  readonly #touch: (subject: string) => void;
  /** By route id, then by service key. */
  readonly #waiting = new Map<string, Map<string, Waiting>>();
  readonly #freed = new Set<string>();
  /** Claims that no route stands for: of services that were not heard of yet, or that cannot be used just now. */
  readonly #loose: Set<string>;
  readonly #isDecidedElsewhere: boolean;
  /** Decided elsewhere: claims that nobody here stands for, or may. */
  readonly #unwanted = new Set<string>();
  /** Decided elsewhere: names that somebody waits for, and that may be nobody's. */
  readonly #open = new Set<string>();
  #now = 0;
  #released = 0;

  constructor(claims: ReadonlyMap<string, Claim>, deps: ClaimBookDeps) {
    this.claims = new KeptEntries(claims);
    this.#loose = new Set(claims.keys());
    this.#problems = deps.problems;
    this.#touch = deps.touch;
    this.#isDecidedElsewhere = deps.isDecidedElsewhere;
  }

  get isDecidedElsewhere(): boolean {
    return this.#isDecidedElsewhere;
  }

  /** `now` (epoch ms) is written into claims that are made from here on. */
  begin(now: number): void {
    this.#now = now;
  }

  /** Whether this very route is in the table. */
  holds(route: Route): boolean {
    return this.routes.get(route.id) === route;
  }

  /** Comes for a name. `claimed`: it is had by claim; otherwise it is the service's by construction. */
  place(route: Route, claimed: boolean): void {
    // The gate's own names are its own: it is to be reached also where nobody decides.
    if (this.#isDecidedElsewhere && claimed && isGateService(route.service)) claimed = false;
    const holder = this.routes.get(route.id);
    if (holder === undefined) {
      if (this.#isFor(route, claimed)) this.#win(route, claimed);
      else this.#wait(route, claimed);
    } else if (this.#isNewcomer(holder, claimed) && route.service < holder.service) {
      this.#wait(holder, claimed);
      this.#win(route, claimed);
    } else {
      this.#wait(route, claimed);
    }
  }

  /** The same service's name, with other content. */
  replace(before: Route, after: Route): void {
    if (this.holds(before)) {
      this.routes.set(after.id, after);
      this.#touch(after.service);
      return;
    }
    const others = this.#waiting.get(after.id);
    const waiting = others?.get(after.service);
    if (waiting !== undefined) others?.set(after.service, { ...waiting, route: after });
  }

  /** Gives a name up, or the wait for it. */
  release(route: Route): void {
    if (!this.holds(route)) {
      this.#stopWaiting(route);
      return;
    }
    this.suspend(route);
    this.releaseClaim(route.id);
  }

  /** Takes the route away and keeps the claim: its service is there, but cannot be used just now. */
  suspend(route: Route): void {
    if (this.holds(route)) {
      this.routes.delete(route.id);
      if (this.claims.has(route.id)) this.#loose.add(route.id);
      this.#touch(route.service);
    } else {
      this.#stopWaiting(route);
    }
  }

  /** Frees what nobody has a route for. */
  releaseClaim(id: string): void {
    if (this.#isDecidedElsewhere && this.#waiting.has(id)) this.#open.add(id);
    if (this.#isDecidedElsewhere && this.claims.has(id)) this.#unwanted.add(id);
    else this.#free(id);
  }

  #free(id: string): void {
    if (this.claims.has(id)) this.claims.delete(id);
    this.#loose.delete(id);
    if (this.#waiting.has(id)) this.#freed.add(id);
    this.#released += 1;
  }

  /** Takes what was decided elsewhere: whose a name is, or (null) that it is nobody's. */
  decide(id: string, claim: Claim | null): void {
    const before = this.claims.get(id);
    if (before?.service === claim?.service) return;
    this.#unwanted.delete(id);
    const holder = this.routes.get(id);
    if (holder !== undefined && holder.service === before?.service) {
      this.suspend(holder);
      this.#wait(holder, true);
    }
    if (claim === null) this.#free(id);
    else this.#give(id, claim);
    this.#explain(id);
  }

  #give(id: string, claim: Claim): void {
    this.claims.set(id, claim);
    if (this.routes.has(id)) return;
    this.#loose.add(id);
    const theirs = this.#waiting.get(id)?.get(claim.service);
    if (theirs !== undefined) this.#win(theirs.route, true);
  }

  /** Tells those who wait whether they wait for somebody to go, or for a word. */
  #explain(id: string): void {
    const others = this.#waiting.get(id);
    const isTaken = this.#isTaken(id);
    for (const [service, one] of others ?? []) {
      if ((one.problem !== null) === isTaken) continue;
      const problem = isTaken ? takenProblem(one.route) : null;
      if (one.problem !== null) this.#problems.remove(one.problem);
      if (problem !== null) this.#problems.add(problem);
      others?.set(service, { ...one, problem });
    }
  }

  #isTaken(id: string): boolean {
    return this.routes.has(id) || this.claims.has(id);
  }

  /** What this table would decide where nobody has: whose names are that are waited for, and which nobody wants any more. */
  wanted(): Changed<Claim> {
    const set: Claim[] = [];
    const removed: string[] = [];
    for (const id of this.#open) {
      const route = this.#isOpen(id) ? this.#firstWaiting(id, (one) => one.claimed)?.route : undefined;
      if (route === undefined) this.#open.delete(id);
      else set.push({ match: route.match, service: route.service, since: this.#now });
    }
    for (const id of this.#unwanted) if (!this.#open.has(id)) removed.push(id);
    return { set, removed };
  }

  /** How many names and ports were released so far: when it stands still, nothing became free. */
  get released(): number {
    return this.#released;
  }

  /** Gives what became free to those who wait. */
  settle(): void {
    for (const id of this.#freed) {
      const next = this.#firstWaiting(id, (one) => !this.#isDecidedElsewhere || !one.claimed);
      if (next !== undefined) this.place(next.route, next.claimed);
      else this.#explain(id);
    }
    this.#freed.clear();
  }

  #firstWaiting(id: string, may: (one: Waiting) => boolean): Waiting | undefined {
    const waiting = [...(this.#waiting.get(id)?.values() ?? [])].filter(may);
    return waiting.length === 0 ? undefined : waiting.reduce((a, b) => (a.route.service < b.route.service ? a : b));
  }

  /** Whether nobody has it, or nobody who wants it. */
  #isOpen(id: string): boolean {
    return this.#unwanted.has(id) || !this.#isTaken(id);
  }

  // What a holder has had since before this build it keeps.
  #isNewcomer(holder: Route, claimed: boolean): boolean {
    if (this.#isDecidedElsewhere && this.claims.get(holder.id)?.service === holder.service) return false;
    const before = claimed ? this.claims.before(holder.id) : this.routes.before(holder.id);
    return before?.service !== holder.service;
  }

  /** No route stands for it; nor may a claim that does not lead to this service. */
  #isFor(route: Route, claimed: boolean): boolean {
    if (this.claims.get(route.id)?.service === route.service) return true;
    if (this.#isDecidedElsewhere && claimed) return false;
    return !this.#loose.has(route.id) || this.#unwanted.has(route.id);
  }

  #win(route: Route, claimed: boolean): void {
    this.#stopWaiting(route);
    this.routes.set(route.id, route);
    this.#touch(route.service);
    if (claimed) this.#unwanted.delete(route.id);
    if (!claimed || this.#loose.delete(route.id)) return;
    this.claims.set(route.id, { match: route.match, service: route.service, since: this.#now });
  }

  #wait(route: Route, claimed: boolean): void {
    const others = this.#waiting.get(route.id) ?? new Map<string, Waiting>();
    if (others.has(route.service)) return;
    const problem = this.#isDecidedElsewhere && !this.#isTaken(route.id) ? null : takenProblem(route);
    if (problem !== null) this.#problems.add(problem);
    if (this.#isDecidedElsewhere && claimed) this.#open.add(route.id);
    this.#waiting.set(route.id, others.set(route.service, { route, claimed, problem }));
  }

  #stopWaiting(route: Route): void {
    if (this.#waiting.size === 0) return;
    const others = this.#waiting.get(route.id);
    const waiting = others?.get(route.service);
    if (others === undefined || waiting === undefined) return;
    if (waiting.problem !== null) this.#problems.remove(waiting.problem);
    others.delete(route.service);
    if (others.size === 0) this.#waiting.delete(route.id);
  }
}

// Who has it is not told: the other's existence may be none of this owner's business.
function takenProblem(route: Route): Problem {
  const remedy = route.match.by === "port" ? "Ask for another, or leave the number out" : "Choose another name";
  const message = `${matchText(route.match)} is held by another service. ${remedy}; what else leads to this service works.`;
  return Object.freeze({ subject: route.service, code: "name_taken", message });
}
