import type { Message } from "../proto/kit.ts";
import type { Resource, ResourceChange, ResourceKey } from "../resource.ts";

/** What a change makes of resources, of each the last word. In the order in which they were first named. */
export class ChangeList {
  readonly #changes = new Map<string, Resource | ResourceKey>();

  set(type: Message<unknown>, resource: Omit<Resource, "type">): void {
    this.#changes.set(keyOf(type.name, resource), { type: type.name, ...resource });
  }

  remove(type: Message<unknown>, { name, fleet }: Omit<ResourceKey, "type">): void {
    this.#changes.set(keyOf(type.name, { name, fleet }), { type: type.name, name, fleet });
  }

  take(): ResourceChange {
    const set: Resource[] = [];
    const removed: ResourceKey[] = [];
    for (const change of this.#changes.values()) {
      if ("body" in change) set.push(change);
      else removed.push(change);
    }
    this.#changes.clear();
    return { set, removed };
  }
}

function keyOf(type: string, { name, fleet }: Omit<ResourceKey, "type">): string {
  return `${type} ${fleet ?? ""} ${name}`;
}
