import type { Problem } from "../../../model/index.ts";
import type { PlaneStatus } from "../../dataplane.ts";
import type { StatusNews } from "./messages.ts";

type Verdict = "healthy" | "unhealthy";

interface Told {
  applied: number;
  /** With when it was told, by a count of all that was told. */
  readonly endpoints: Map<string, { readonly verdict: Verdict; readonly at: number }>;
  problems: readonly Problem[];
}

/** What all workers know, as one plane's status. */
export class MergedStatus {
  readonly #told = new Map<string, Told>();
  readonly #endpoints = new Map<string, Verdict>();
  readonly #lastUsed = new Map<string, number>();
  #count = 0;

  /** A worker that is there but has said nothing. */
  joined(worker: string): void {
    this.#told.set(worker, { applied: 0, endpoints: new Map(), problems: [] });
  }

  /** What only it knew is forgotten, except what was used. */
  left(worker: string): void {
    const told = this.#told.get(worker);
    this.#told.delete(worker);
    for (const key of told?.endpoints.keys() ?? []) this.#judge(key);
  }

  take(worker: string, { applied, endpoints, used, problems }: StatusNews): void {
    const told = this.#told.get(worker);
    if (told === undefined) return;
    told.applied = applied;
    told.problems = problems ?? told.problems;
    for (const [key, verdict] of endpoints) {
      this.#count += 1;
      if (verdict === null) told.endpoints.delete(key);
      else told.endpoints.set(key, { verdict, at: this.#count });
      this.#judge(key);
    }
    for (const [service, at] of used) this.#lastUsed.set(service, Math.max(at, this.#lastUsed.get(service) ?? 0));
  }

  /** The service left the table. */
  forget(service: string): void {
    this.#lastUsed.delete(service);
  }

  /** `more`: problems of the workers themselves. Live views: they change with what is told. */
  read(more: readonly Problem[]): PlaneStatus {
    const problems = new Map<string, Problem>();
    for (const told of this.#told.values()) {
      for (const problem of told.problems) problems.set(`${problem.code} ${problem.subject}`, problem);
    }
    return {
      instances: new Map(
        [...this.#told].map(([worker, { applied }]) => [worker, { applied, connected: true }] as const),
      ),
      endpoints: this.#endpoints,
      lastUsed: this.#lastUsed,
      problems: [...problems.values(), ...more],
    };
  }

  /** Workers see different requests: whoever learned something last is right. */
  #judge(key: string): void {
    let latest: { readonly verdict: Verdict; readonly at: number } | null = null;
    for (const { endpoints } of this.#told.values()) {
      const seen = endpoints.get(key);
      if (seen !== undefined && (latest === null || seen.at > latest.at)) latest = seen;
    }
    if (latest === null) this.#endpoints.delete(key);
    else this.#endpoints.set(key, latest.verdict);
  }
}
