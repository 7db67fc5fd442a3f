import type {
  Anyone,
  Certificate,
  Changed,
  Claim,
  Entries,
  Listener,
  Opening,
  Route,
  RouteTable,
  SessionKey,
  SourceState,
  SourceUpdate,
  TableDiff,
  Task,
} from "../model/index.ts";
import type { Ceiling } from "./access-ceiling.ts";
import type { AccessRule } from "./access-rules.ts";

export interface TableOptions {
  readonly domain: string;
  readonly gateHost: string;
  readonly pathHost: string;
  /** Further domains that providers may ask host names under. */
  readonly domains?: readonly string[];
  /** Further hosts of path mode: services share them, and none gets one for itself. */
  readonly pathHosts?: readonly string[];
  /** Sources whose tasks are on this machine: only theirs may be at loopback addresses and unix sockets. Default: gate, local, file. */
  readonly loopback?: readonly string[];
  /** Id of the listener that hosts, paths and headers are served on. */
  readonly listener: string;
  readonly tcp: {
    readonly ports: { readonly from: number; readonly to: number };
    /** By service key: services that get a port though their access is not public. */
    readonly services: Readonly<Record<string, number | "auto">>;
  };
  readonly ceiling: Anyone;
  /** Further bounds of what may be given. Default: links are allowed, everybody may be given anything, for as long as they like. */
  readonly grantBounds?: Omit<Ceiling, "anyone">;
  /** Default: none. */
  readonly accessRules?: readonly AccessRule[];
  /**
   * Who decides whose a name or port is that several may want: this table, at once, or whoever writes claims for several tables. Then none
   * is had here until `decide` said so, but for the gate's own. Default: `here`.
   */
  readonly claims?: "here" | "elsewhere";
  /** Of this life of the gate. */
  readonly epoch: string;
}

export interface MergedTask {
  /** `provider/task`. */
  readonly key: string;
  readonly provider: string;
  readonly task: Task;
}

/** What one build changed. */
export interface Built {
  readonly diff: TableDiff;
  /** Claims to write and keys of claims that are given up; where they are decided elsewhere, what was decided. */
  readonly claims: Changed<Claim>;
  /** Task keys whose task, routes, endpoints or problems changed, and keys of tasks that went away. */
  readonly tasks: { readonly set: readonly string[]; readonly removed: readonly string[] };
  /** Names of sources whose state changed. */
  readonly sources: readonly string[];
}

/** All that the core knows, kept by change. No I/O; the same inputs and claims give the same table, whatever the order. */
export interface TableState {
  readonly table: RouteTable;
  /** By task key. */
  readonly tasks: Entries<MergedTask>;
  readonly sources: Entries<SourceState>;
  /**
   * All ways to a service, best first: the one that people should be told is at 0, those to a single replica (they have `replica`) come
   * last. Empty for an unknown service key.
   */
  routesOf(serviceKey: string): readonly Route[];
  /**
   * Makes a source known as `pending`, which keeps what its services hold. Sources are added before the first build: it releases the
   * claims of those that it does not know. Throws GatewayError `conflict` on a name that is taken.
   */
  addSource(name: string): void;
  /** Takes note; `build` does the work. Never throws: what is wrong becomes a Problem. */
  update(source: string, update: SourceUpdate): void;
  /** All that is now given to a task, by its key, whether there is such a task or not. `build` does the work. */
  share(taskKey: string, openings: readonly Opening[]): void;
  /** Whether the table shows all that is given to the task of that key. */
  showsShared(taskKey: string): boolean;
  /** Whether a task of that key may come back: a source lists it, be it unusable, or was not heard yet. */
  mayList(taskKey: string): boolean;
  /** Claims that were written elsewhere, and keys of those that are no more; in order. `build` does the work, and is never null after it. */
  decide(claims: Changed<Claim>): void;
  /**
   * What whoever decides is to write, by this table: claims of those who wait for a name or port, and keys of claims that nobody wants any
   * more. Empty where they are decided here, and while something decided is not built yet.
   */
  wanted(): Changed<Claim>;
  setListeners(listeners: readonly Listener[]): void;
  setKeys(keys: ReadonlyMap<string, SessionKey>): void;
  setCertificates(certificates: ReadonlyMap<string, Certificate>): void;
  /** Work proportional to what changed; null: nothing did. `now` is epoch ms, for new claims. */
  build(now: number): Built | null;
}
