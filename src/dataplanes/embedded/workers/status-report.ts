import type { Problem } from "../../../model/index.ts";
import type { PlaneStatus } from "../../dataplane.ts";
import type { Checked, StatusNews } from "./messages.ts";

/** Tells what is new in a plane's status: with 10,000 services, whole ones ten times a second would be the worker's main work. */
export class StatusReport {
  readonly #tell: (news: StatusNews) => void;
  readonly #endpoints = new Map<string, "healthy" | "unhealthy">();
  readonly #used = new Map<string, number>();
  #problems = "[]";

  constructor(tell: (news: StatusNews) => void) {
    this.#tell = tell;
  }

  take({ instances, endpoints, lastUsed, problems }: PlaneStatus): void {
    const applied = Math.min(...[...instances.values()].map((instance) => instance.applied));
    const used = [...lastUsed].filter(([service, at]) => this.#used.get(service) !== at);
    for (const [service, at] of used) this.#used.set(service, at);
    for (const service of this.#used.keys()) if (!lastUsed.has(service)) this.#used.delete(service);
    this.#tell({ applied, used, endpoints: this.#newsOf(endpoints), ...this.#newProblems(problems) });
  }

  #newsOf(endpoints: PlaneStatus["endpoints"]): Checked {
    const news: [string, "healthy" | "unhealthy" | null][] = [];
    for (const [key, verdict] of endpoints) {
      if (this.#endpoints.get(key) === verdict) continue;
      this.#endpoints.set(key, verdict);
      news.push([key, verdict]);
    }
    for (const key of this.#endpoints.keys()) {
      if (endpoints.has(key)) continue;
      this.#endpoints.delete(key);
      news.push([key, null]);
    }
    return news;
  }

  #newProblems(problems: readonly Problem[]): Pick<StatusNews, "problems"> {
    const text = JSON.stringify(problems);
    if (text === this.#problems) return {};
    this.#problems = text;
    return { problems };
  }
}
