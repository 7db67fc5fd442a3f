/**
 * What turns schema N into schema N + 1, in order: the file's `user_version` counts how many of them are done. Released steps never
 * change; a new one goes to the end.
 */
export const MIGRATIONS: readonly string[] = [
  // A removed or expired entry stays for a while as a row without value, so that a watch can go on from an earlier version.
  `
  CREATE TABLE entry (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT,
    version INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (kind, key)
  ) WITHOUT ROWID;
  CREATE INDEX entry_version ON entry (kind, version);
  CREATE INDEX entry_expiry ON entry (expires_at) WHERE expires_at IS NOT NULL;
  CREATE INDEX entry_gone ON entry (version) WHERE value IS NULL;

  CREATE TABLE counter (
    version INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
  );
  INSERT INTO counter (version, forgotten) VALUES (0, 0);
  `,
];
