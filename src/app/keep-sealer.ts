import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createSealer, SEALER_KEY_BYTES, type Sealer } from "../auth/sealer.ts";
import type { Home } from "../config/home.ts";
import { GatewayError } from "../model/index.ts";
import { keepSecret } from "./keep-secret.ts";
import type { Stores } from "./open-stores.ts";

/** The sealer of a gate: of its store where others may have that, too, for what one sealed another is to open. Throws `unavailable`. */
export async function keepSealer({ store, isShared }: Pick<Stores, "store" | "isShared">, home: Home): Promise<Sealer> {
  return isShared ? createSealer(Buffer.from(await keepSecret(store, "sealing"), "base64url")) : folderSealer(home);
}

/**
 * The sealer of the state folder. Its key is a file of its own, 0600, made there the first time: who gets at the database alone, in a
 * backup say, opens nothing. Throws `unavailable` where there is a file that holds no key.
 */
function folderSealer(home: Home): Sealer {
  const key = readKey(home.sealingKey) ?? makeKey(home.sealingKey);
  if (key.byteLength !== SEALER_KEY_BYTES) {
    throw new GatewayError(
      "unavailable",
      `${home.sealingKey} holds no key; remove it, and who is logged in logs in again`,
    );
  }
  return createSealer(key);
}

function readKey(file: string): Buffer | null {
  try {
    return Buffer.from(readFileSync(file, "utf8").trim(), "base64url");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new GatewayError("unavailable", `${file} cannot be read`, { cause });
  }
}

/** It is there whole or not at all; one who starts at the same moment was maybe first. */
function makeKey(file: string): Buffer {
  const temporary = `${file}.${String(process.pid)}`;
  writeFileSync(temporary, `${randomBytes(SEALER_KEY_BYTES).toString("base64url")}\n`, { mode: 0o600 });
  try {
    linkSync(temporary, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
  return readKey(file) ?? Buffer.alloc(0);
}
