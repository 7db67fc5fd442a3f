import { OWNER_ONLY, type SourceUpdate, type Task } from "../../../model/index.ts";
import type { Provider } from "../../../providers/provider.ts";

/** A provider of pods that says what the test tells it to. */
export interface ScriptedProvider extends Provider {
  say(update: SourceUpdate): void;
}

export function scriptedProvider(name: string): ScriptedProvider {
  const sinks = new Set<(update: SourceUpdate) => void>();
  return {
    name,
    say(update) {
      for (const sink of sinks) sink(update);
    },
    start(publish) {
      sinks.add(publish);
      return Promise.resolve({
        [Symbol.asyncDispose]() {
          sinks.delete(publish);
          return Promise.resolve();
        },
      });
    },
  };
}

/** A task with one service, `web`, on that port of each of these pods. */
export function podTask(
  id: string,
  namespace: string,
  pods: readonly { readonly pod: string; readonly ip: string; readonly port?: number }[],
): Task {
  return {
    ...{ id, name: id, kind: "pod", owner: null, namespace, labels: {}, state: "running", access: OWNER_ONLY },
    services: [{ name: "web", protocol: "tcp", guard: "self", exposures: [], policy: {} }],
    endpoints: {
      web: pods.map(({ pod, ip, port = 80 }) => ({
        ...{ address: { ip, port }, replica: pod, pod, weight: 1, health: "healthy" as const },
      })),
    },
  };
}
