import { applyDiff, type RouteTable, type TableCopy, wholeDiff } from "../../../model/index.ts";
import type { TableChange, TableRest } from "./messages.ts";

/** The whole table as the first change of a worker. */
export function wholeTable(table: RouteTable): TableChange {
  return { diff: wholeDiff(table), rest: restOf(table) };
}

/** What a diff says only that it changed. */
export function restOf({ listeners, certificates, keys }: RouteTable): TableRest {
  return { listeners: [...listeners], certificates: [...certificates], keys: [...keys] };
}

/** The table in a worker, kept by changes. */
export class WorkerTable {
  readonly #copy: TableCopy = { routes: new Map(), upstreams: new Map(), endpoints: new Map(), problems: new Map() };
  #rest: Pick<RouteTable, "listeners" | "certificates" | "keys"> = {
    ...{ listeners: new Map(), certificates: new Map(), keys: new Map() },
  };

  apply({ diff, rest }: TableChange): RouteTable {
    applyDiff(this.#copy, diff);
    if (rest !== null) {
      const { listeners, certificates, keys } = rest;
      this.#rest = { listeners: new Map(listeners), certificates: new Map(certificates), keys: new Map(keys) };
    }
    return { ...this.#rest, ...this.#copy, revision: diff.to };
  }
}
