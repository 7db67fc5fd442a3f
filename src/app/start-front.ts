import { once } from "node:events";
import { isDeepStrictEqual } from "node:util";
import type { TaskDirectory } from "../api/task-directory.ts";
import { FrontConfig } from "../config/front-config.ts";
import type { Config } from "../config/schema.ts";
import type { Built } from "../core/table-state.ts";
import { FollowedRoutes } from "../fronts/follow-routes.ts";
import { madeBy, routeNamespace } from "../fronts/gateway-api/build-objects.ts";
import { GatewayApiFront } from "../fronts/gateway-api/gateway-api-front.ts";
import type { Made } from "../fronts/gateway-api/objects.ts";
import type { Problem, Site } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import { pauseMs } from "../platform/kubernetes/bounds.ts";
import { findCluster } from "../platform/kubernetes/find-cluster.ts";
import { FoundClient } from "../platform/kubernetes/found-client.ts";
import type { Logger } from "../platform/logger.ts";
import { pause } from "../platform/pause.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Store } from "../store/store.ts";
import { keepInstallationId } from "./installation-id.ts";

export interface StartedFront extends AsyncDisposable {
  /** To be called after every build. `isWhole`: every source was heard. */
  published(built: Pick<Built, "diff">, isWhole: boolean): void;
  readonly problems: readonly Problem[];
}

export interface FrontDeps {
  readonly config: Pick<Config, "front">;
  readonly site: Site;
  readonly store: Store;
  /** One of several gates writes. */
  readonly leadership: Leadership;
  /** Told where its problems are others than they were. */
  readonly directory: Pick<TaskDirectory, "planeChanged">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Of the store: the fronts that may have made something, so that it goes once another one is configured, or none. */
const KIND = "front";
const KEY = "made";
const FIND = { firstPauseMs: 1000, mostPauseMs: 60_000 };

/** What stands before the gate, if anything is to. Throws `unavailable` where the store cannot be read. */
export async function startFront(deps: FrontDeps): Promise<StartedFront> {
  // Nobody leads in what there is nothing of.
  if (deps.config.front === undefined && (await recordedFronts(deps.store)).length === 0) return NONE;
  await using scope = new AsyncDisposableStack();
  const logger = deps.logger.child({ component: "front" });
  const mark = `${await keepInstallationId(deps.store)}-front`;
  const open = (config: FrontConfig, clean?: readonly Made[]): OpenFront =>
    openFront({ ...deps, logger, mark }, config, clean);
  const front = deps.config.front === undefined ? null : scope.use(open(deps.config.front)).front;
  const lead = (signal: AbortSignal): Promise<void> => leadFront({ ...deps, front, open }, signal);
  scope.use(deps.leadership.lead("front", lead));
  const routes = new FollowedRoutes();
  let toldWhole: boolean | null = null;
  const parts = scope.move();
  return {
    published({ diff }, isWhole) {
      if (!routes.apply(diff.routes) && toldWhole === isWhole) return;
      toldWhole = isWhole;
      front?.publish({ ...routes.wanted, isWhole });
    },
    get problems() {
      return front?.problems ?? [];
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

const NONE: StartedFront = Object.freeze({
  published: () => undefined,
  problems: [],
  [Symbol.asyncDispose]: () => Promise.resolve(),
});

interface OpenFront extends AsyncDisposable {
  readonly front: GatewayApiFront;
}

/** With a client of its own. */
function openFront(
  deps: Omit<FrontDeps, "config"> & { readonly mark: string },
  config: FrontConfig,
  clean?: readonly Made[],
): OpenFront {
  const { clock, site, mark, directory, logger } = deps;
  const client = new FoundClient(() => findCluster(config, process.env, clock), clock);
  const front = new GatewayApiFront({
    ...{ config, site, mark, clock, logger, client: () => client.get() },
    changed: () => directory.planeChanged(),
    ...(clean !== undefined && { clean }),
  });
  return {
    front,
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      client[Symbol.dispose]();
    },
  };
}

interface LeadDeps extends FrontDeps {
  readonly front: GatewayApiFront | null;
  readonly open: (config: FrontConfig, clean: readonly Made[]) => OpenFront;
}

/** Takes away what fronts before made and this one does not, and writes this one. */
async function leadFront(deps: LeadDeps, signal: AbortSignal): Promise<void> {
  const { store, front } = deps;
  const { front: config } = deps.config;
  const now = config === undefined ? [] : [config];
  const before = await recordedFronts(store);
  const others = before.filter((one) => !isDeepStrictEqual(one, config));
  // Known to the store before anything of it is made.
  await record(store, [...others, ...now]);
  const cleaning = others.map((other) => cleanUp(other, deps, signal));
  const cleaned = async (): Promise<void> => {
    await Promise.all(cleaning);
    if (!signal.aborted) await record(store, now);
  };
  await Promise.all([cleaned(), front?.lead(signal)]);
  if (!signal.aborted) await once(signal, "abort");
}

async function recordedFronts(store: Store): Promise<readonly FrontConfig[]> {
  const held = await store.get<readonly unknown[]>(KIND, KEY);
  // One of an older gate may be no front any more that this one knows.
  return (held?.value ?? []).flatMap((value) => FrontConfig.safeParse(value).data ?? []);
}

async function record(store: Store, fronts: readonly FrontConfig[]): Promise<void> {
  const held = await store.get<readonly unknown[]>(KIND, KEY);
  if (isDeepStrictEqual(held?.value ?? [], fronts)) return;
  if (fronts.length > 0) await store.put(KIND, KEY, fronts, { version: held?.version ?? null });
  else if (held !== null) await store.remove(KIND, KEY, held.version);
}

async function cleanUp(last: FrontConfig, deps: LeadDeps, signal: AbortSignal): Promise<void> {
  const left = await leftBy(last, deps, signal);
  if (left === null) return;
  await using old = deps.open(last, left);
  await old.front.lead(signal);
}

/** Kinds of which there may be objects of an earlier front that the one of today does not see to; null: nothing of it is left. */
async function leftBy(last: FrontConfig, deps: LeadDeps, signal: AbortSignal): Promise<readonly Made[] | null> {
  const { config, clock, logger } = deps;
  const now = config.front;
  const made = madeBy(last);
  if (now === undefined) return made;
  for (let failures = 1; !signal.aborted; failures += 1) {
    try {
      if (!(await isSameCluster(last, now, clock))) return made;
      const known = new Set(madeBy(now).map((kind) => `${kind} ${namespaceOf(kind, now)}`));
      const kinds = made.filter((kind) => !known.has(`${kind} ${namespaceOf(kind, last)}`));
      const hasListeners = last.tcp === "listeners" && !isDeepStrictEqual(last.gateway, now.gateway);
      return kinds.length > 0 || hasListeners ? kinds : null;
    } catch (err) {
      logger.warn({ err }, "what an earlier front made cannot be looked for");
      await pause(clock, pauseMs(failures, FIND), signal);
    }
  }
  return null;
}

/** Whatever leads there: what is the front's of today is not to be taken for a former one's. */
async function isSameCluster(one: FrontConfig, other: FrontConfig, clock: Clock): Promise<boolean> {
  if (one.kubeconfig === other.kubeconfig && one.context === other.context) return true;
  const found = await Promise.all([one, other].map((each) => findCluster(each, process.env, clock)));
  return found[0]?.server.href === found[1]?.server.href;
}

function namespaceOf(kind: Made, config: FrontConfig): string {
  return kind === "referencegrants" ? config.service.namespace : routeNamespace(config);
}
