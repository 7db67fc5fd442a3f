import type { RouteTable, TableDiff } from "../../../model/index.ts";
import { Upstreams, type UpstreamsDeps } from "../upstreams.ts";
import type { Checked } from "./messages.ts";

/** Active health checks for all workers: endpoints are asked once, not once by each. */
export class SharedChecks implements Disposable {
  readonly #upstreams: Upstreams;
  readonly #checked = new Set<string>();
  readonly #tell: (checked: Checked) => void;
  readonly #told = new Map<string, "healthy" | "unhealthy">();

  constructor(deps: Omit<UpstreamsDeps, "changed">, tell: (checked: Checked) => void) {
    this.#tell = tell;
    this.#upstreams = new Upstreams({ ...deps, changed: () => this.#changed() });
  }

  /** Takes in those upstreams of a change that ask to be checked. */
  apply(table: Pick<RouteTable, "endpoints">, diff: Pick<TableDiff, "upstreams" | "endpoints">): void {
    const asking = diff.upstreams.set.filter(({ policy }) => policy.activeHealth !== undefined);
    const silent = diff.upstreams.set.filter(({ policy }) => policy.activeHealth === undefined).map(({ id }) => id);
    const removed = [...diff.upstreams.removed, ...silent].filter((id) => this.#checked.delete(id));
    const added = asking.filter(({ id }) => !this.#checked.has(id)).map(({ id }) => id);
    for (const id of added) this.#checked.add(id);
    if (this.#checked.size + removed.length === 0) return;
    const known = added.flatMap((id) => table.endpoints.get(id) ?? []);
    const set = [...diff.endpoints.set.filter(({ upstream }) => this.#checked.has(upstream)), ...known];
    const gone = diff.endpoints.removed.filter((id) => this.#checked.has(id));
    this.#upstreams.apply({ upstreams: { set: asking, removed }, endpoints: { set, removed: gone } });
  }

  /** For a worker that has just come. */
  get all(): Checked {
    return [...this.#upstreams.verdicts];
  }

  [Symbol.dispose](): void {
    this.#upstreams[Symbol.dispose]();
  }

  #changed(): void {
    const now = this.#upstreams.verdicts;
    const news: (readonly [string, "healthy" | "unhealthy" | null])[] = [...now].filter(
      ([key, verdict]) => this.#told.get(key) !== verdict,
    );
    for (const key of this.#told.keys()) if (!now.has(key)) news.push([key, null]);
    for (const [key, verdict] of news) {
      if (verdict === null) this.#told.delete(key);
      else this.#told.set(key, verdict);
    }
    if (news.length > 0) this.#tell(news);
  }
}
