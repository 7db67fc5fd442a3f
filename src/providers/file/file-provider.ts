import { networkInterfaces } from "node:os";
import { resolve } from "node:path";
import type { Identity, Problem, SourceUpdate, Task } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { refuseTarget } from "../../platform/target-check.ts";
import type { Provider } from "../provider.ts";
import type { TargetCheck } from "./build-task.ts";
import { parseTaskFile } from "./task-file.ts";
import { startWatchedFile, type FileContent } from "../../platform/watched-file.ts";

export interface FileProviderDeps {
  readonly name: string;
  /** YAML or JSON; examples/tasks.yaml shows all that may be in it. Relative to the working directory. */
  readonly path: string;
  /** Its tasks may be at loopback addresses. Default: false. */
  readonly allowLoopback?: boolean;
  /** Owner of tasks that name none. */
  readonly owner: Identity;
  /** Ports that the gate listens on: never a target on this machine. Default: none. */
  readonly ownPorts?: () => ReadonlySet<number>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Tasks from a watched file. A file that is gone or broken makes the source stale and keeps its last good tasks; a bad task is a Problem,
 * and its neighbours stay.
 */
export function createFileProvider(deps: FileProviderDeps): Provider {
  return {
    name: deps.name,
    async start(publish, signal) {
      signal.throwIfAborted();
      const source = new FileSource(deps, publish);
      const silence = () => source.end();
      signal.addEventListener("abort", silence, { once: true });
      const { clock, logger } = deps;
      const changed = (content: FileContent) => source.take(content);
      const file = await startWatchedFile({ path: resolve(deps.path), clock, logger, changed });
      const end = async () => {
        source.end();
        signal.removeEventListener("abort", silence);
        signal.removeEventListener("abort", stop);
        await file[Symbol.asyncDispose]();
      };
      const stop = () => void end();
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) await end();
      return { [Symbol.asyncDispose]: end };
    },
  };
}

class FileSource {
  readonly #deps: FileProviderDeps;
  readonly #publish: (update: SourceUpdate) => void;
  /** Last good tasks by id, each with its JSON; null until the file was read once. */
  #known: ReadonlyMap<string, { readonly task: Task; readonly json: string }> | null = null;
  #problems = "";
  /** Epoch ms; null: not stale. */
  #staleSince: number | null = null;
  #ended = false;

  constructor(deps: FileProviderDeps, publish: (update: SourceUpdate) => void) {
    this.#deps = deps;
    this.#publish = publish;
  }

  end(): void {
    this.#ended = true;
  }

  take(content: FileContent): void {
    if (this.#ended) return;
    if (!content.ok) {
      this.#stale(content.message);
      return;
    }
    const { path, owner } = this.#deps;
    const file = parseTaskFile(content.text, { path, owner, target: this.#targetCheck() });
    if (file.ok) this.#good(file.tasks, file.problems);
    else this.#stale(file.message);
  }

  #targetCheck(): TargetCheck {
    const rules = {
      allowLoopback: this.#deps.allowLoopback ?? false,
      ownPorts: this.#deps.ownPorts?.() ?? new Set<number>(),
      ownAddresses: interfaceAddresses(),
    };
    return (ip, port) => refuseTarget(ip, port, rules);
  }

  #stale(message: string): void {
    this.#staleSince ??= this.#deps.clock.now();
    this.#publish({ kind: "stale", since: this.#staleSince, error: new Error(message) });
  }

  #good(tasks: readonly Task[], problems: readonly Problem[]): void {
    const before = this.#known;
    const now = new Map(tasks.map((task) => [task.id, { task, json: JSON.stringify(task) }]));
    const said = JSON.stringify(problems);
    const set = [...now.values()].filter(({ task, json }) => before?.get(task.id)?.json !== json);
    const removed = [...(before?.keys() ?? [])].filter((id) => !now.has(id));
    const news = this.#staleSince !== null || set.length > 0 || removed.length > 0 || said !== this.#problems;
    this.#known = now;
    this.#problems = said;
    this.#staleSince = null;
    if (before === null) this.#publish({ kind: "whole", tasks, problems });
    else if (news) this.#publish({ kind: "change", set: set.map(({ task }) => task), removed, problems });
  }
}

function interfaceAddresses(): ReadonlySet<string> {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return new Set(addresses.map(({ address }) => address.split("%")[0] ?? ""));
}
