import { chmod, open, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { GatewayError } from "../../model/index.ts";
import { MIGRATIONS } from "./migrations.ts";

/** "tgat": says that an SQLite file is ours (https://www.sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x74676174;

/** A gate that is just ending gives the file up within this time; opening waits no longer. */
const LOCK_WAIT_MS = 500;

/** Primary result codes (https://www.sqlite.org/rescode.html). */
const BUSY = 5;
const CORRUPT = 11;
const NOT_A_DATABASE = 26;

/** An open database that no other process can open until it is closed, or until this process is gone, however it went. */
export interface Database extends AsyncDisposable {
  readonly connection: DatabaseSync;
  /** What a failed statement means to callers; the reason itself is its `cause`. */
  translate(error: unknown): GatewayError;
}

/**
 * Opens `file`, makes it if need be (0600, in a folder that exists), and brings its schema up to date. Throws GatewayError: `conflict` if
 * another process has it, `unsupported` if it is newer than this taskgate or not a taskgate database, `internal` if it is damaged,
 * `unavailable` if it cannot be opened.
 */
export async function openDatabase(file: string): Promise<Database> {
  await makePrivate(file);
  const connection = connect(file);
  try {
    await lock(connection, file);
    check(connection, file);
    migrate(connection, file);
    await writeFile(holderFile(file), `${String(process.pid)} ${hostname()}\n`, { mode: 0o600 });
  } catch (error) {
    connection.close();
    throw translate(error, file);
  }
  return {
    connection,
    translate: (error) => translate(error, file),
    async [Symbol.asyncDispose]() {
      // First, while nobody else can have written theirs.
      await rm(holderFile(file), { force: true });
      connection.close();
    },
  };
}

/** Says who holds the database, for the message that another process shows; the lock itself is the operating system's. */
function holderFile(file: string): string {
  return `${file}.pid`;
}

/**
 * SQLite gives -wal and -shm the mode of the file itself. The file is opened here only to be made: opening and closing one that SQLite
 * has open in this process would drop its locks (POSIX: closing any descriptor of a file drops the process's locks on it).
 */
async function makePrivate(file: string): Promise<void> {
  try {
    const made = await open(file, "wx", 0o600).catch((error: unknown) => {
      if (isErrno(error, "EEXIST")) return null;
      throw error;
    });
    await made?.close();
    await chmod(file, 0o600);
    for (const beside of [`${file}-wal`, `${file}-shm`]) {
      await chmod(beside, 0o600).catch((error: unknown) => {
        if (!isErrno(error, "ENOENT")) throw error;
      });
    }
  } catch (error) {
    throw cannotOpen(file, error);
  }
}

function connect(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: LOCK_WAIT_MS });
  } catch (error) {
    throw cannotOpen(file, error);
  }
}

/**
 * The exclusive locking mode takes the lock with the first read and keeps it until the connection is closed. It is a lock of the
 * operating system, so it dies with the process (https://www.sqlite.org/wal.html#noshm).
 */
async function lock(connection: DatabaseSync, file: string): Promise<void> {
  try {
    connection.exec("PRAGMA locking_mode = EXCLUSIVE");
    connection.exec("PRAGMA journal_mode = WAL");
    // FULL: a commit is on the disk before it returns. NORMAL, the usual choice with WAL, can lose the last ones with the power.
    connection.exec("PRAGMA synchronous = FULL");
    connection.exec("BEGIN IMMEDIATE; COMMIT");
  } catch (error) {
    if (resultCode(error) !== BUSY) throw error;
    const holder = await readFile(holderFile(file), "utf8").catch(() => "");
    const [pid = "", host = ""] = holder.trim().split(" ");
    const where = host === "" || host === hostname() ? "" : ` on ${host}`;
    const who = /^\d+$/.test(pid) ? `process ${pid}${where}` : "another process";
    throw new GatewayError(
      "conflict",
      `the database ${file} is in use by ${who}: one gate runs with a state folder at a time; stop that one, or set another TASKGATE_HOME`,
      { cause: error },
    );
  }
}

function check(connection: DatabaseSync, file: string): void {
  const found = connection.prepare("PRAGMA quick_check(1)").get()?.quick_check;
  if (found !== "ok") throw damaged(file, new Error(String(found)));
  const id = connection.prepare("PRAGMA application_id").get()?.application_id;
  const tables = connection.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.count;
  if (id !== APPLICATION_ID && tables !== 0) {
    throw new GatewayError(
      "unsupported",
      `${file} is a database, but not one of taskgate: it was left alone; move it away`,
    );
  }
}

function migrate(connection: DatabaseSync, file: string): void {
  const found = Number(connection.prepare("PRAGMA user_version").get()?.user_version);
  const known = MIGRATIONS.length;
  if (found > known) {
    throw new GatewayError(
      "unsupported",
      `the database ${file} has schema version ${found}, and this taskgate knows up to ${known}: ` +
        "it was written by a newer taskgate; use that one, or another state folder",
    );
  }
  MIGRATIONS.forEach((step, index) => {
    if (index < found) return;
    // In one transaction with its number: a step is done whole or not at all, wherever the process dies.
    connection.exec(`BEGIN IMMEDIATE;
      ${step}
      PRAGMA user_version = ${index + 1};
      PRAGMA application_id = ${APPLICATION_ID};
      COMMIT`);
  });
}

function translate(error: unknown, file: string): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = resultCode(error);
  if (code === CORRUPT || code === NOT_A_DATABASE) return damaged(file, error);
  if (code === null) return cannotOpen(file, error);
  return new GatewayError("unavailable", `the database ${file} failed: ${sqliteReason(error)}`, { cause: error });
}

function damaged(file: string, cause: unknown): GatewayError {
  return new GatewayError(
    "internal",
    `the database ${file} is damaged, or no database. Put a copy back in its place; or move it (and ${file}-wal, if there) ` +
      "away and start again: tasks that run are found again, allotted ports and tokens are not",
    { cause },
  );
}

function cannotOpen(file: string, cause: unknown): GatewayError {
  const reason = isErrno(cause) ? cause.code : sqliteReason(cause);
  return new GatewayError(
    "unavailable",
    `cannot open the database ${file} (${reason}): its folder must exist, be writable and have space left`,
    { cause },
  );
}

function sqliteReason(error: unknown): string {
  return error instanceof Error && "errstr" in error ? String(error.errstr) : "unknown reason";
}

/** The primary result code; null if the error is not one of SQLite. */
function resultCode(error: unknown): number | null {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number"
    ? error.errcode & 0xff
    : null;
}

function isErrno(error: unknown, code?: string): error is NodeJS.ErrnoException & { code: string } {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return false;
  return code === undefined || error.code === code;
}
