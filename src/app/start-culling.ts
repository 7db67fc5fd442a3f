import { once } from "node:events";
import type { TaskDirectory } from "../api/task-directory.ts";
import type { Auth } from "../auth/auth.ts";
import type { Config } from "../config/schema.ts";
import { parseDuration } from "../config/units.ts";
import type { MergedTask, TableState } from "../core/table-state.ts";
import { hasBusyKernel } from "../cull/ask-jupyter.ts";
import { Culler, type CullerDeps, type Idler } from "../cull/culler.ts";
import { startKeptUse } from "../cull/kept-use.ts";
import { GatewayError, type Problem, serviceKey } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";
import type { TaskControl } from "../providers/provider.ts";
import type { Leadership } from "../store/leadership.ts";
import type { Store } from "../store/store.ts";

export interface CullingDeps {
  readonly config: Pick<Config, "cull">;
  readonly state: Pick<TableState, "tasks">;
  readonly control: (taskKey: string) => TaskControl | null;
  readonly auth: Pick<Auth, "audit" | "watched">;
  readonly store: Store;
  /** One of several gates does it. */
  readonly leadership: Leadership;
  readonly directory: Pick<TaskDirectory, "planeChanged">;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Culling extends AsyncDisposable {
  readonly problems: readonly Problem[];
}

const LOOK_MS = 1000;
/** Of tasks that serve notebooks, whose kernels say whether they work. */
const NOTEBOOK = "notebook";

/** Stops what nobody uses, of what the gate runs itself. Throws `unavailable` where the store cannot be read. */
export async function startCulling(deps: CullingDeps): Promise<Culling> {
  const logger = deps.logger.child({ component: "cull" });
  const { auth, clock, config, store } = deps;
  await using scope = new AsyncDisposableStack();
  const kept = scope.use(await startKeptUse({ store, last: () => auth.watched.last, clock, logger }));
  const find = (key: string): TaskControl => {
    const control = deps.control(key);
    if (control === null) throw new GatewayError("not_found", `there is no task ${key} that the gate runs`);
    return control;
  };
  scope.use(watchIdlers(deps));
  const cullerDeps: CullerDeps = {
    ...{ clock, logger, audit: auth.audit, warnBeforeMs: config.cull.warnBefore },
    changed: () => deps.directory.planeChanged(),
    idlers: () => idlersOf(deps),
    lastUse: () => kept.last,
    isBusy: (key) => isBusy(deps.state.tasks.get(key)),
    stop: (key, why) => find(key).stop(idOf(key), AbortSignal.timeout(STOP_MS), why),
  };
  let culler: Culler | null = null;
  const lead = async (signal: AbortSignal): Promise<void> => {
    using leading = new Culler(cullerDeps);
    culler = leading;
    if (!signal.aborted) await once(signal, "abort");
    culler = null;
  };
  scope.use(deps.leadership.lead("cull", lead));
  const parts = scope.move();
  return {
    get problems() {
      return culler?.problems ?? [];
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

const STOP_MS = 600_000;

/** Tells who watches whose use is of interest, when that changes. */
function watchIdlers(deps: CullingDeps): Disposable {
  const { auth, clock, config } = deps;
  let told = "[]";
  let timer: Disposable;
  const look = (): void => {
    const services = stoppable(deps).flatMap(({ key, services: own }) => {
      const kind = deps.state.tasks.get(key)?.task.kind ?? "";
      return own.map(([service]): [string, string] => [service, kind]);
    });
    const text = JSON.stringify(services);
    if (text !== told) auth.watched.watch({ services, background: config.cull.background });
    told = text;
    timer = clock.after(LOOK_MS, look);
  };
  look();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

/** What runs now. */
function idlersOf(deps: CullingDeps): Idler[] {
  return stoppable(deps).filter(({ key }) => deps.state.tasks.get(key)?.task.state === "running");
}

/** What may be stopped, and is to be once it is idle; what only starts is watched too. */
function stoppable({ state, control, config }: CullingDeps): Idler[] {
  return [...state.tasks.values()].flatMap((merged) => {
    const { task, key, provider } = merged;
    if (task.state === "finished" || task.state === "failed" || control(key)?.isOwn(task.id) !== true) return [];
    const services = task.services.map(
      ({ name, policy }) => [serviceKey(provider, task.id, name), afterOf(policy.cull, config.cull.after)] as const,
    );
    if (services.length === 0 || services.some(([, after]) => after === Infinity)) return [];
    const owner = task.owner === null ? null : `${task.owner.realm}/${task.owner.name}`;
    return [{ key, owner, startedAt: task.startedAt ?? 0, services }];
  });
}

/** 0: never. */
function afterOf(own: string | undefined, usual: number): number {
  const ms = own === undefined ? usual : own === "never" ? 0 : parseDuration(own);
  return ms === 0 ? Infinity : ms;
}

async function isBusy(merged: MergedTask | undefined): Promise<boolean> {
  if (merged?.task.kind !== NOTEBOOK) return false;
  const addresses = Object.values(merged.task.endpoints).flatMap((list) => list.map(({ address }) => address));
  const found = await Promise.all(addresses.map(hasBusyKernel));
  return found.includes(true);
}

function idOf(key: string): string {
  return key.slice(key.indexOf("/") + 1);
}
