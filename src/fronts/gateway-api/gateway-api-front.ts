import { isDeepStrictEqual } from "node:util";
import type { FrontConfig } from "../../config/front-config.ts";
import { isCode, type Problem, type Site } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { pauseMs } from "../../platform/kubernetes/bounds.ts";
import type { KubernetesClient } from "../../platform/kubernetes/client.ts";
import { GATE_LABEL } from "../../platform/kubernetes/gate-marks.ts";
import { GATEWAYS } from "../../platform/kubernetes/gateway-objects.ts";
import { objectKey, type KubernetesObject } from "../../platform/kubernetes/objects.ts";
import type { Logger } from "../../platform/logger.ts";
import { pause } from "../../platform/pause.ts";
import type { Front, Wanted } from "../front.ts";
import { buildObjects, madeBy, routeNamespace, type Built } from "./build-objects.ts";
import { covers } from "./covers.ts";
import { FRONT_SUBJECT, judge, PATIENCE_MS } from "./judge.ts";
import { planListeners, type PlannedListeners } from "./listeners.ts";
import { FrontWatch, type Seen } from "./watch.ts";
import type { Made } from "./objects.ts";

export interface GatewayApiFrontDeps {
  readonly config: FrontConfig;
  readonly site: Pick<Site, "domain" | "gateHost" | "pathHost">;
  /** `ID-front`, of the installation: by it a front knows what it made. */
  readonly mark: string;
  readonly client: () => Promise<KubernetesClient>;
  /** Kinds of which all is to go that it made: it was another front before. Absent: what is wanted is to be there. */
  readonly clean?: readonly Made[];
  /** Its problems are others than they were. */
  readonly changed: () => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

const FAILURES = { firstPauseMs: 500, mostPauseMs: 30_000 };
const MOST_CONFLICTS = 20;
const CONFLICT_PAUSE_MS = 100;
/** What a controller has not said yet is looked at again. */
const LOOK_AGAIN_MS = PATIENCE_MS / 3;
const NOBODY = (): void => undefined;
const NOTHING: Wanted = Object.freeze({ hosts: new Map(), serverNames: new Map(), ports: new Map(), isWhole: true });

/**
 * Routes of the Gateway API that lead all that visitors may ask for to the gate's Service, by listeners of a Gateway of somebody's. What is there
 * is compared with what should be, again whenever either changes: nothing is remembered but in the cluster. What does not carry its mark is left alone.
 */
export class GatewayApiFront implements Front {
  readonly #deps: GatewayApiFrontDeps;
  readonly #watch: FrontWatch;
  readonly #isWanted: boolean;
  #wanted: Wanted = NOTHING;
  /** Nothing is written before it is known what is wanted. */
  #isPublished = false;
  #problems: readonly Problem[] = [];
  #failure: Problem | null = null;
  #wake: () => void = NOBODY;
  #timer: Disposable | null = null;

  constructor(deps: GatewayApiFrontDeps) {
    const { config, mark, client, clean, clock, logger } = deps;
    this.#deps = deps;
    this.#isWanted = clean === undefined;
    this.#isPublished = clean !== undefined;
    this.#watch = new FrontWatch({
      ...{ config, client, clock, logger, kinds: clean ?? madeBy(config), own: `${GATE_LABEL}=${mark}` },
      changed: () => this.#look(),
    });
  }

  get problems(): readonly Problem[] {
    return this.#problems;
  }

  publish(wanted: Wanted): void {
    this.#wanted = wanted;
    this.#isPublished = true;
    this.#look();
  }

  async lead(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const aborted = new Promise<undefined>((resolve) => {
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    let failures = 0;
    while (!signal.aborted) {
      const woken = Promise.withResolvers<undefined>();
      this.#wake = () => woken.resolve(undefined);
      const outcome = await this.#tryWrite(signal);
      if (outcome === "done") return;
      if (outcome === "written") {
        failures = 0;
        this.#failed(null);
        await Promise.race([woken.promise, aborted]);
      } else {
        failures += 1;
        await pause(clock, this.#pauseAfter(outcome, failures, signal), signal);
      }
    }
  }

  /** Gives what was thrown. */
  async #tryWrite(signal: AbortSignal): Promise<"done" | "written" | Error> {
    try {
      return (await this.#write(signal)) ? "done" : "written";
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** ms. */
  #pauseAfter(error: Error, failures: number, signal: AbortSignal): number {
    if (signal.aborted) return 0;
    // Somebody else wrote meanwhile, or what was made is not heard of yet.
    if (isCode(error, "conflict") && failures <= MOST_CONFLICTS) return CONFLICT_PAUSE_MS;
    this.#deps.logger.warn({ err: error }, "front was not written");
    this.#failed(error.message);
    return pauseMs(failures, FAILURES);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch[Symbol.asyncDispose]();
    this.#timer?.[Symbol.dispose]();
  }

  #failed(why: string | null): void {
    if (why === null && this.#failure === null) return;
    const message = `What visitors may ask for is not written for ${this.#deps.config.gateway.name}: ${why ?? ""}`;
    this.#failure = why === null ? null : { subject: FRONT_SUBJECT, code: "front_unavailable", message };
    this.#judge();
  }

  #look(): void {
    this.#wake();
    this.#judge();
  }

  /** What is wrong now, for whoever looks: also where another gate writes. */
  #judge(): void {
    const { clock } = this.#deps;
    this.#timer?.[Symbol.dispose]();
    this.#timer = clock.after(LOOK_AGAIN_MS, () => this.#judge());
    const problems = this.#problemsNow(clock.now());
    if (isDeepStrictEqual(problems, this.#problems)) return;
    this.#problems = problems;
    this.#deps.changed();
  }

  #problemsNow(now: number): readonly Problem[] {
    const said = [...this.#watch.problems, ...(this.#failure === null ? [] : [this.#failure])];
    const { seen } = this.#watch;
    if (!this.#isWanted || !this.#isPublished || seen === null) return said;
    const listeners = this.#planListeners(seen);
    const refused = [...listeners.refused].map(([port, why]): Problem => {
      const subject = this.#wanted.ports.get(port) ?? FRONT_SUBJECT;
      const message = `port ${String(port)} does not come in: the Gateway ${this.#deps.config.gateway.name} cannot listen there, as ${why}`;
      return { subject, code: "front_refused", message };
    });
    const judged = this.#build(seen, listeners).flatMap((built) => {
      const there = seen.objects.get(built.plural)?.get(objectKey(built.object));
      return (there === undefined ? null : judge(built, there, now)) ?? [];
    });
    return [...said, ...refused, ...judged];
  }

  /** Whether that was all there was ever to do. Throws KubernetesError. */
  async #write(signal: AbortSignal): Promise<boolean> {
    const { seen } = this.#watch;
    if (seen === null || !this.#isPublished) return false;
    const client = await this.#deps.client();
    const listeners = this.#planListeners(seen);
    if (listeners.write !== null) await client.replace(GATEWAYS, listeners.write, signal);
    const built = this.#isWanted ? this.#build(seen, listeners) : [];
    for (const one of built) await this.#make(seen, one, signal);
    const removed = this.#wanted.isWhole ? await this.#removeOthers(seen, built, signal) : 0;
    return !this.#isWanted && removed === 0 && listeners.write === null;
  }

  async #make(seen: Seen, { plural, object, what }: Built, signal: AbortSignal): Promise<void> {
    const resource = seen.served.get(plural);
    if (resource === undefined) return;
    const client = await this.#deps.client();
    const there = seen.objects.get(plural)?.get(objectKey(object));
    if (there === undefined) {
      await client.create(resource, object, signal);
      this.#deps.logger.info({ kind: resource.kind, name: object.metadata.name, what }, "front made a route");
      return;
    }
    if (covers(there, object)) return;
    const metadata = {
      ...there.metadata,
      ...object.metadata,
      labels: { ...there.metadata.labels, ...object.metadata.labels },
    };
    await client.replace(resource, { ...there, ...object, metadata }, signal);
  }

  /** How many went. */
  async #removeOthers(seen: Seen, built: readonly Built[], signal: AbortSignal): Promise<number> {
    const client = await this.#deps.client();
    const wanted = new Set(built.map(({ plural, object }) => `${plural} ${objectKey(object)}`));
    let removed = 0;
    for (const [plural, objects] of seen.objects) {
      const resource = seen.served.get(plural);
      for (const [key, { metadata }] of objects) {
        if (resource === undefined || wanted.has(`${plural} ${key}`) || metadata.deletionTimestamp !== undefined)
          continue;
        const { name, namespace = "", uid } = metadata;
        await client.remove(resource, { name, namespace, ...(uid !== undefined && { uid }) }, signal);
        removed += 1;
      }
    }
    return removed;
  }

  #build(seen: Seen, listeners: PlannedListeners): readonly Built[] {
    const { config, site, mark } = this.#deps;
    return buildObjects({
      ...{ config, site, mark, wanted: this.#wanted, owner: seen.owner },
      portListeners: listeners.serving,
    });
  }

  #planListeners({ gateway, objects }: Seen): PlannedListeners {
    const { config, mark } = this.#deps;
    const isOurs = config.tcp === "listeners" && this.#isWanted;
    if (gateway === null) return { write: null, serving: new Map(), refused: new Map() };
    const keep = new Set([...(objects.get("tcproutes")?.values() ?? [])].map(portOf));
    const { ports, isWhole } = this.#wanted;
    return planListeners(gateway, {
      ports: new Set(isOurs ? ports.keys() : []),
      ...{ keep: (port) => !isWhole || keep.has(port), mark, namespace: routeNamespace(config) },
    });
  }
}

/** Of a TCPRoute of its own. */
function portOf({ metadata }: KubernetesObject): number {
  return Number(/-tcp-(\d+)$/.exec(metadata.name)?.[1] ?? "0");
}
