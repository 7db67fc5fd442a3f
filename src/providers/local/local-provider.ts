import type { Provider, Runner, TaskControl } from "../provider.ts";
import { GatewayError } from "../../model/index.ts";
import { startLocalTasks, type LocalDeps, type LocalTasks } from "./local-tasks.ts";

export type { LocalDeps } from "./local-tasks.ts";

export type LocalProvider = Provider & { readonly control: TaskControl; readonly runner: Runner };

/**
 * Tasks of this machine: commands that it runs, and ports that were there before. Nothing happens before `start`, and all it can do needs
 * it started: `unavailable` otherwise. It may be started again once it ended.
 */
export function createLocalProvider(deps: LocalDeps): LocalProvider {
  let present: LocalTasks | null = null;
  const tasks = (): LocalTasks => {
    if (present?.isReady() === true) return present;
    throw new GatewayError("unavailable", "The tasks of this machine are not read yet. Try again in a moment.");
  };
  return {
    name: "local",
    async start(publish, signal) {
      signal.throwIfAborted();
      await present?.[Symbol.asyncDispose]();
      present = await startLocalTasks(deps, publish, signal);
      return present;
    },
    control: {
      isOwn: (task) => present?.isOwn(task) ?? false,
      stop: async (task, signal, why) => tasks().stop(task, signal, why),
      remove: async (task, signal) => tasks().remove(task, signal),
      logs: (task, options, signal) => tasks().logs(task, options, signal),
    },
    runner: {
      run: async (spec, signal) => tasks().run(spec, signal),
      attach: async (spec, signal) => tasks().attach(spec, signal),
      restart: async (task) => tasks().restart(task),
    },
  };
}
