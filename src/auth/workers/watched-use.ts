import { laterUse, type LastUse } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { ProcessLink } from "../../platform/process-link.ts";
import type { Activity, Watch } from "../activity.ts";
import { LAST_USE, WATCH } from "./messages.ts";

const TELL_EVERY_MS = 1000;

/** Who uses what is watched, in this process and in all workers. */
export class WatchedUse {
  readonly #activity: Activity;
  readonly #links = new Set<ProcessLink>();
  readonly #told = new Map<string, LastUse>();
  #watch: Watch = { services: [], background: {} };

  constructor(activity: Activity) {
    this.#activity = activity;
  }

  /** In place of what was watched before. */
  watch(watch: Watch): void {
    this.#watch = watch;
    this.#activity.watch(watch);
    const names = new Set(watch.services.map(([service]) => service));
    for (const service of this.#told.keys()) if (!names.has(service)) this.#told.delete(service);
    for (const link of this.#links) link.tell(WATCH, watch);
  }

  /** By service; in workers as of a second ago. */
  get last(): ReadonlyMap<string, LastUse> {
    const sum = new Map(this.#activity.last);
    for (const [service, use] of this.#told) sum.set(service, laterUse(sum.get(service), use));
    return sum;
  }

  /** Until disposed, this worker watches too. */
  serve(link: ProcessLink): Disposable {
    link.hear(LAST_USE, (news) => {
      for (const [service, use] of news) this.#told.set(service, laterUse(this.#told.get(service), use));
    });
    link.tell(WATCH, this.#watch);
    this.#links.add(link);
    return {
      [Symbol.dispose]: () => {
        this.#links.delete(link);
      },
    };
  }
}

/** The worker's half: watches what it is told to, and tells every second what was used. */
export function reportLastUse(activity: Activity, link: ProcessLink, clock: Clock): Disposable {
  link.hear(WATCH, (watch) => activity.watch(watch));
  let told = new Map<string, LastUse>();
  let timer: Disposable;
  const look = (): void => {
    const news = [...activity.last].filter(([service, use]) => told.get(service) !== use);
    if (news.length > 0) link.tell(LAST_USE, news);
    told = new Map(activity.last);
    timer = clock.after(TELL_EVERY_MS, look);
  };
  timer = clock.after(TELL_EVERY_MS, look);
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
