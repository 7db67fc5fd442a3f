import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { Entry } from "../entry.ts";

/** So many writes long, a removed entry is remembered for watches that go on from an earlier version. */
const REMEMBERED_WRITES = 10_000;

/** The statements of the store. Reads see no entry that is past `now`; writes belong into `transaction`. */
export interface Entries {
  get(kind: string, key: string, now: number): Entry | null;
  /** By key. */
  list(kind: string, now: number): readonly Entry[];
  /** Last states that are newer than `version`, oldest first; what is past `now` has no value. */
  since(kind: string, version: number, now: number): readonly Entry[];
  /** `value` null leaves a mark that it is gone. */
  write(kind: string, key: string, value: string | null, expiresAt: number | null): Entry;
  /** Marks what is past `now` as gone, in order of expiry. */
  expire(now: number): readonly Entry[];
  /** Epoch ms; null: nothing expires. */
  nextExpiry(): number | null;
  /** The newest version, and the newest of which a removal is forgotten. */
  counter(): { readonly version: number; readonly forgotten: number };
  /** Runs `work` in one transaction: on the disk when this returns, undone when it throws. */
  transaction<T>(work: () => T): T;
}

type Row = Record<string, SQLOutputValue>;

const toEntry = (row: Row): Entry => ({
  kind: String(row.kind),
  key: String(row.key),
  value: row.value === null ? null : String(row.value),
  version: Number(row.version),
});

/** Statements over a database that has the current schema; they throw what node:sqlite throws. */
export function prepareEntries(database: DatabaseSync): Entries {
  const live = "value IS NOT NULL AND (expires_at IS NULL OR expires_at > :now)";
  const get = database.prepare(`SELECT * FROM entry WHERE kind = :kind AND key = :key AND ${live}`);
  const list = database.prepare(`SELECT * FROM entry WHERE kind = :kind AND ${live} ORDER BY key`);
  const since = database.prepare(
    `SELECT kind, key, iif(${live}, value, NULL) AS value, version FROM entry
     WHERE kind = :kind AND version > :version ORDER BY version`,
  );
  const put = database.prepare(
    `INSERT INTO entry (kind, key, value, version, expires_at) VALUES (:kind, :key, :value, :version, :expiresAt)
     ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at`,
  );
  const expired = database.prepare("SELECT kind, key FROM entry WHERE expires_at <= :now ORDER BY expires_at, version");
  const nextExpiry = database.prepare("SELECT min(expires_at) AS at FROM entry WHERE expires_at IS NOT NULL");
  const counter = database.prepare("SELECT version, forgotten FROM counter");
  const count = database.prepare("UPDATE counter SET version = version + 1 RETURNING version");
  const forget = database.prepare("DELETE FROM entry WHERE value IS NULL AND version <= :version");
  const forgotten = database.prepare("UPDATE counter SET forgotten = max(forgotten, :version)");

  const write: Entries["write"] = (kind, key, value, expiresAt) => {
    const version = Number(count.get()?.version);
    put.run({ kind, key, value, version, expiresAt });
    const old = version - REMEMBERED_WRITES;
    if (forget.run({ version: old }).changes > 0) forgotten.run({ version: old });
    return { kind, key, value, version };
  };
  return {
    get: (kind, key, now) => {
      const row = get.get({ kind, key, now });
      return row === undefined ? null : toEntry(row);
    },
    list: (kind, now) => list.all({ kind, now }).map(toEntry),
    since: (kind, version, now) => since.all({ kind, version, now }).map(toEntry),
    write,
    expire: (now) => expired.all({ now }).map((row) => write(String(row.kind), String(row.key), null, null)),
    nextExpiry: () => {
      const at = nextExpiry.get()?.at ?? null;
      return at === null ? null : Number(at);
    },
    counter: () => {
      const row = counter.get();
      return { version: Number(row?.version), forgotten: Number(row?.forgotten) };
    },
    transaction: (work) => {
      database.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        database.exec("COMMIT");
        return result;
      } catch (error) {
        // A full disk ends the transaction by itself; ending it twice would hide the reason.
        if (database.isTransaction) database.exec("ROLLBACK");
        throw error;
      }
    },
  };
}
