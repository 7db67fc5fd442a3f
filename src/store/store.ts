/** A value with the version that a write of it must name. */
export interface Versioned<T> {
  readonly value: T;
  /** Opaque; differs after every write of the key. */
  readonly version: string;
}

/** By which election somebody writes, as `Leadership.lead` says it. */
export interface Fence {
  readonly lead: string;
  readonly fence: number;
}

export interface FenceOptions {
  /** Refuse the write with `conflict` once anybody else was elected since. Absent: whoever leads. */
  readonly fence?: Fence;
}

/** What a write replaces, and until when it holds. */
export interface PutOptions extends FenceOptions {
  /** The version that is replaced; null makes the entry, and fails if it is there. */
  readonly version: string | null;
  /** Epoch ms; from then on the entry is gone for every reader. Absent: it stays. */
  readonly expiresAt?: number;
}

/**
 * What must outlive the gate: small JSON values by kind and key, with compare and swap. Kinds are lower-case words, keys any well-formed
 * strings. What breaks a bound of `entry-limits.ts` throws `too_large`, what is no kind, key or JSON value `bad_request`.
 * `get` and writes know what every gate on the store wrote before; `list` may lack what another one did a moment ago.
 * Every method may throw GatewayError `unavailable`; a write that did may be found done later. A write that resolved survives kill -9 and
 * power loss. Disposing finishes the writes that were asked for; after it every method throws `unavailable`.
 */
export interface Store extends AsyncDisposable {
  get<T>(kind: string, key: string): Promise<Versioned<T> | null>;
  list<T>(kind: string): Promise<ReadonlyMap<string, Versioned<T>>>;
  /** Returns the new version. Throws `conflict` if the entry is not at `options.version`. */
  put<T>(kind: string, key: string, value: T, options: PutOptions): Promise<string>;
  /** Throws `conflict` if the entry is not at that version, or not there. */
  remove(kind: string, key: string, version: string, options?: FenceOptions): Promise<void>;
  /**
   * Calls `changed` for every entry that is there now (unless `from` is given), then for every write after it, in order; null means
   * removed or expired. Several writes of a key by another gate may be told as the last of them, and those of different keys in another
   * order. `from` is a version returned by this store: only what came after it, where several writes of a key before this call may be told
   * as the last of them; throws `conflict` where what was removed since is forgotten. Never calls from within `watch` or a write. Calls
   * stop when disposed; one that throws is logged.
   */
  watch<T>(kind: string, from: string | null, changed: (key: string, entry: Versioned<T> | null) => void): Disposable;
}
