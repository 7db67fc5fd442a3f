import type { Context } from "hono";
import { isAbove } from "../auth/access.ts";
import { GatewayError, needWholeScope, taskKey, type Principal } from "../model/index.ts";
import type { TaskControl } from "../providers/provider.ts";
import type { Api, ApiEnv } from "./api-env.ts";
import { noteAudit } from "./audit-operations.ts";
import type { ApiDeps } from "./deps.ts";
import { findOwnTask, findTask, visibilityOf } from "./find-task.ts";
import { lastingAnswer } from "./lasting.ts";
import { openLogStream } from "./log-stream.ts";
import { ROUTES } from "./routes.ts";
import { withoutUndefined } from "./without-undefined.ts";
import type { TaskView } from "./wire.ts";

/** How long an answer waits for the table to show what was done. */
const SHOW_MS = 10_000;
/** Logs that are read or followed at once, all together; more are refused. Each holds a file and a buffer. */
const MAX_LOGS = 256;

/** What can be asked about tasks and done to them. A task that somebody may not see is not there for them. */
export function addTaskRoutes(api: Api, deps: ApiDeps): void {
  addReading(api, deps);
  addStarting(api, deps);
  addActing(api, deps);
}

function addReading(api: Api, deps: ApiDeps): void {
  const { directory } = deps;
  api.openapi(ROUTES.listTasks, (c) => {
    const { show, problems } = visibilityOf(c, deps);
    const tasks = directory.list().flatMap((view) => show(view) ?? []);
    return c.json({ tasks, problems: [...problems(directory.problems())] }, 200);
  });
  api.openapi(ROUTES.showTask, (c) => c.json(findTask(c, deps, c.req.valid("param").task), 200));
  api.openapi(ROUTES.listProblems, (c) => {
    const { show, problems } = visibilityOf(c, deps);
    const ofTasks = directory.list().flatMap((view) => show(view)?.problems ?? []);
    return c.json({ problems: [...problems(directory.problems()), ...ofTasks] }, 200);
  });
  let openLogs = 0;
  api.openapi(ROUTES.taskLogs, async (c) => {
    const view = findOwnTask(c, deps, c.req.valid("param").task, "read");
    const { follow, tail, replica } = c.req.valid("query");
    const control = controlOf(view, deps);
    const options = { follow: follow === "true", ...withoutUndefined({ tail, replica }) };
    const failed = (err: unknown) => {
      deps.logger.warn({ err, task: view.id }, "log broke off");
      c.env.outgoing?.destroy();
    };
    const read = (signal: AbortSignal) => control.logs(idOf(view), options, signal);
    if (openLogs >= MAX_LOGS) throw new GatewayError("unavailable", "too many logs are being read; end some");
    openLogs += 1;
    const lasting = lastingAnswer(c, deps, () => (openLogs -= 1));
    const stream = await openLogStream({ read, failed, clock: deps.clock }, lasting);
    return c.body(stream, 200, { "content-type": "text/plain; charset=utf-8" });
  });
}

function addStarting(api: Api, deps: ApiDeps): void {
  const started = async (c: Context<ApiEnv>, id: string) => {
    const key = taskKey(deps.runnerProvider, id);
    noteAudit(c, { object: key, task: key });
    deps.logger.info({ by: c.var.principal.name, task: key }, "task taken in");
    return shown(await whenShown(deps, key, (view) => view !== undefined));
  };
  api.openapi(ROUTES.runTask, async (c) => {
    needWholeScope(c.var.principal.scope, "manage");
    const { policy: asked, ...request } = c.req.valid("json");
    const spec = withoutUndefined(request);
    const services = spec.services.map(withoutUndefined);
    const policy = asked === undefined ? {} : { policy: withoutUndefined(asked) };
    return c.json(await started(c, await runnerFor(c, deps).run({ ...spec, ...policy, services }, deps.signal)), 201);
  });
  api.openapi(ROUTES.attachTask, async (c) => {
    needWholeScope(c.var.principal.scope, "manage");
    const spec = withoutUndefined(c.req.valid("json"));
    return c.json(await started(c, await runnerFor(c, deps).attach(spec, deps.signal)), 201);
  });
  api.openapi(ROUTES.restartTask, async (c) => {
    const view = findOwnTask(c, deps, c.req.valid("param").task);
    const runner = runnerFor(c, deps);
    if (view.provider !== deps.runnerProvider) throw notRunHere();
    const before = await stopped(view, deps);
    await runner.restart(idOf(view), deps.signal);
    deps.logger.info({ by: c.var.principal.name, task: view.id }, "task restarted");
    return c.json(shown(await whenShown(deps, view.id, (now) => now === undefined || now !== before)), 200);
  });
}

/** As it is shown once it has ended. What was taken in is not stopped: the provider says that it has nothing to start. */
async function stopped(view: TaskView, deps: ApiDeps): Promise<TaskView | undefined> {
  if (hasEnded(view) || !view.controllable) return view;
  await controlOf(view, deps).stop(idOf(view), deps.signal);
  return whenShown(deps, view.id, (now) => now === undefined || hasEnded(now));
}

/** Acts go on when whoever asked leaves: half a stop helps nobody. */
function addActing(api: Api, deps: ApiDeps): void {
  api.openapi(ROUTES.stopTask, async (c) => {
    const view = findOwnTask(c, deps, c.req.valid("param").task);
    await controlOf(view, deps).stop(idOf(view), deps.signal);
    deps.logger.info({ by: c.var.principal.name, task: view.id }, "task stopped");
    return c.json(shown(await whenShown(deps, view.id, (now) => now === undefined || hasEnded(now))), 200);
  });
  api.openapi(ROUTES.removeTask, async (c) => {
    const view = findOwnTask(c, deps, c.req.valid("param").task);
    await controlOf(view, deps).remove(idOf(view), deps.signal);
    deps.logger.info({ by: c.var.principal.name, task: view.id }, "task removed");
    await whenShown(deps, view.id, (now) => now === undefined);
    return c.body(null, 204);
  });
}

function controlOf(view: TaskView, deps: ApiDeps): TaskControl {
  const control = deps.control(view.id);
  if (control === null) throw notRunHere();
  return control;
}

function notRunHere(): GatewayError {
  return new GatewayError(
    "unsupported",
    "the gate does not run this task: it is started, stopped and logged where it lives",
  );
}

/** Commands run as the gate's own user, so its owner and administrators alone may start them. */
function runnerFor(c: Context<ApiEnv>, deps: ApiDeps) {
  const principal: Principal = c.var.principal;
  if (!isAbove(deps.owner, principal)) throw new GatewayError("denied", "only the gate's owner may start tasks here");
  if (deps.runner === null) throw new GatewayError("unsupported", "this gate starts no tasks: local.enabled is false");
  return deps.runner;
}

function idOf(view: TaskView): string {
  return view.id.slice(view.provider.length + 1);
}

function hasEnded(view: TaskView): boolean {
  return view.state === "finished" || view.state === "failed";
}

function whenShown(deps: ApiDeps, key: string, test: (view: TaskView | undefined) => boolean) {
  return deps.directory.until(key, test, AbortSignal.any([deps.signal, AbortSignal.timeout(SHOW_MS)]));
}

function shown(view: TaskView | undefined): TaskView {
  if (view === undefined) throw new GatewayError("unavailable", "it is done, but the task does not show; look again");
  return view;
}
