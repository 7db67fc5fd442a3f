/** A value with the version that a write of it must name. */
export interface Versioned<T> {
  readonly value: T;
  /** Opaque; differs after every write of the key. */
  readonly version: string;
}

/** What a write replaces, and until when it holds. */
export interface PutOptions {
  /** The version that is replaced; null makes the entry, and fails if it is there. */
  readonly version: string | null;
  /** Epoch ms; from then on the entry is gone for every reader. Absent: it stays. */
  readonly expiresAt?: number;
}

/**
 * What must outlive the gate: small JSON values by kind and key, with compare and swap. Kinds are lower-case words, keys any well-formed
 * strings. What breaks a bound of `entry-limits.ts` throws `too_large`, what is no kind, key or JSON value `bad_request`.
 * Every method may throw GatewayError `unavailable`; a write that did may be found done later. A write that resolved survives kill -9 and
 * power loss. Disposing finishes the writes that were asked for; after it every method throws `unavailable`.
 */
export interface Store extends AsyncDisposable {
  get<T>(kind: string, key: string): Promise<Versioned<T> | null>;
  list<T>(kind: string): Promise<ReadonlyMap<string, Versioned<T>>>;
  /** Returns the new version. Throws `conflict` if the entry is not at `options.version`. */
  put<T>(kind: string, key: string, value: T, options: PutOptions): Promise<string>;
  /** Throws `conflict` if the entry is not at that version, or not there. */
  remove(kind: string, key: string, version: string): Promise<void>;
  /**
   * Calls `changed` for every entry that is there now (unless `from` is given), then for every write after it, in order; null means
   * removed or expired. `from` is a version returned by this store: only what came after it, where several writes of a key before this
   * call may be told as the last of them; throws `conflict` where what was removed since is forgotten. Never calls from within
   * `watch` or a write. Calls stop when disposed; one that throws is logged.
   */
  watch<T>(kind: string, from: string | null, changed: (key: string, entry: Versioned<T> | null) => void): Disposable;
}
