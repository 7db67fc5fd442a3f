import type { Claim, Problem, Route } from "../model/index.ts";
import { KeptEntries } from "./kept-entries.ts";
import type { ProblemBook } from "./problem-book.ts";
import { matchText } from "./table-rules.ts";

interface Waiting {
  readonly route: Route;
  readonly claimed: boolean;
  readonly problem: Problem;
}

/**
 * Decides who has a name or port. Who has it keeps it (by the claim, which outlives the gate, or by the route); among those who come for
 * it in one build the smallest service key has it, so the order in which they come does not matter. The others wait, with a Problem.
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
  #now = 0;
  #released = 0;

  constructor(
    claims: ReadonlyMap<string, Claim>,
    deps: { readonly problems: ProblemBook; readonly touch: (subject: string) => void },
  ) {
    this.claims = new KeptEntries(claims);
    this.#loose = new Set(claims.keys());
    this.#problems = deps.problems;
    this.#touch = deps.touch;
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
    const holder = this.routes.get(route.id);
    if (holder === undefined) {
      if (this.#isFor(route)) this.#win(route, claimed);
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
    if (this.claims.has(id)) this.claims.delete(id);
    this.#loose.delete(id);
    if (this.#waiting.has(id)) this.#freed.add(id);
    this.#released += 1;
  }

  /** How many names and ports were released so far: when it stands still, nothing became free. */
  get released(): number {
    return this.#released;
  }

  /** Gives what became free to those who wait. */
  settle(): void {
    for (const id of this.#freed) {
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) continue;
      const smallest = [...waiting.values()].reduce((a, b) => (a.route.service < b.route.service ? a : b));
      this.place(smallest.route, smallest.claimed);
    }
    this.#freed.clear();
  }

  // What a holder has had since before this build it keeps.
  #isNewcomer(holder: Route, claimed: boolean): boolean {
    const before = claimed ? this.claims.before(holder.id) : this.routes.before(holder.id);
    return before?.service !== holder.service;
  }

  /** No route stands for it; nor may a claim that does not lead to this service. */
  #isFor(route: Route): boolean {
    return !this.#loose.has(route.id) || this.claims.get(route.id)?.service === route.service;
  }

  #win(route: Route, claimed: boolean): void {
    this.#stopWaiting(route);
    this.routes.set(route.id, route);
    this.#touch(route.service);
    if (!claimed || this.#loose.delete(route.id)) return;
    this.claims.set(route.id, { match: route.match, service: route.service, since: this.#now });
  }

  #wait(route: Route, claimed: boolean): void {
    const others = this.#waiting.get(route.id) ?? new Map<string, Waiting>();
    if (others.has(route.service)) return;
    const problem = takenProblem(route);
    this.#problems.add(problem);
    this.#waiting.set(route.id, others.set(route.service, { route, claimed, problem }));
  }

  #stopWaiting(route: Route): void {
    if (this.#waiting.size === 0) return;
    const others = this.#waiting.get(route.id);
    const waiting = others?.get(route.service);
    if (others === undefined || waiting === undefined) return;
    this.#problems.remove(waiting.problem);
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
