export interface Versioned<T> {
  readonly value: T;
  /** Opaque; differs after every write of the key. */
  readonly version: string;
}

export interface PutOptions {
  /** The version that is replaced; null makes the entry, and fails if it is there. */
  readonly version: string | null;
  /** Epoch ms; from then on the entry is gone for every reader. */
  readonly expiresAt?: number;
}

/**
 * What must outlive the gate: small JSON values by kind and key, with compare and swap. Kinds are lower-case words.
 * Every method may throw GatewayError `unavailable`. A write that resolved survives kill -9 and power loss of the process.
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
   * removed or expired. `from` is a version returned by this store: only what came after it. Calls stop when disposed.
   */
  watch<T>(kind: string, from: string | null, changed: (key: string, entry: Versioned<T> | null) => void): Disposable;
}
