import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { GateFile, Home } from "../config/home.ts";
import { dialOf } from "../config/site.ts";
import { replaceFile } from "../platform/replace-file.ts";
import { Secret } from "../platform/secret.ts";
import { CommandFailure, EXIT } from "./failure.ts";

/** A login to a gate elsewhere, as `taskgate login` keeps it: one file for each gate, 0600. */
export interface RemoteLogin {
  readonly gate: GateFile;
  readonly token: Secret;
  /** Public id of the token. */
  readonly id: string;
  /** Epoch ms; null: until it is revoked. */
  readonly expiresAt: number | null;
  readonly realm: string;
  readonly principal: string;
}

/** The pid in the place of one that nobody can know from here. */
const ELSEWHERE = 0;

/** Whether a gate is not one of this machine's. */
export function isElsewhere(gate: GateFile): boolean {
  return gate.pid === ELSEWHERE;
}

/**
 * The gate at an address that somebody typed, as far as it can be known without asking it. Plain HTTP is for this very machine: a token
 * would cross a network for all to read. Throws a usage failure for what is no such address.
 */
export function gateAt(address: string, certificateFile?: string): GateFile {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url === null || !isSafe(url)) {
    throw new CommandFailure(EXIT.usage, `${address} is no address of a gate`, {
      remedy: "taskgate login https://taskgate.example.com",
    });
  }
  const secure = url.protocol === "https:";
  const standard = secure ? 443 : 80;
  return {
    ...{ pid: ELSEWHERE, processStart: "", version: "", domain: "", adminAddress: null },
    ...{ url: url.origin, gateHost: url.hostname, secure },
    address: LOCALHOST.test(url.hostname) ? "127.0.0.1" : dialOf(url.hostname),
    port: url.port === "" ? standard : Number(url.port),
    ...(certificateFile !== undefined && { certificateFile }),
  };
}

/** Names that are this very machine's, whatever resolves them (RFC 6761 section 6.3). */
const LOCALHOST = /^(.+\.)?localhost$/;

function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || (protocol === "http:" && (hostname === "127.0.0.1" || LOCALHOST.test(hostname)));
}

/** The kept login to that gate; null: none. */
export function readRemote(home: Home, address: string): RemoteLogin | null {
  return readFile(fileOf(home, gateAt(address).url));
}

/** The gate that was logged in to last; null: none. */
export function currentRemote(home: Home): RemoteLogin | null {
  try {
    return readRemote(home, readFileSync(currentFile(home), "utf8").trim());
  } catch {
    return null; // nobody ever logged in, or it was logged out of
  }
}

/** Keeps it, and makes it the current one. */
export function keepRemote(home: Home, login: RemoteLogin): void {
  for (const folder of [home.directory, home.remotes]) mkdirSync(folder, { recursive: true, mode: 0o700 });
  const kept = JSON.stringify({ ...login, token: login.token.reveal() });
  replaceFile(fileOf(home, login.gate.url), `${kept}\n`);
  replaceFile(currentFile(home), `${login.gate.url}\n`);
}

export function forgetRemote(home: Home, login: RemoteLogin): void {
  const current = currentRemote(home);
  rmSync(fileOf(home, login.gate.url), { force: true });
  if (current?.gate.url === login.gate.url) rmSync(currentFile(home), { force: true });
}

function readFile(file: string): RemoteLogin | null {
  try {
    const kept = JSON.parse(readFileSync(file, "utf8")) as Omit<RemoteLogin, "token"> & { readonly token: string };
    return { ...kept, token: new Secret(kept.token) };
  } catch {
    return null; // none there, or not readable as one
  }
}

/** `https://taskgate.example.com` → `taskgate.example.com_443.json`. */
function fileOf(home: Home, origin: string): string {
  const { gateHost, port } = gateAt(origin);
  return join(home.remotes, `${gateHost.replace(/[^a-z0-9.-]/g, "_")}_${String(port)}.json`);
}

function currentFile(home: Home): string {
  return join(home.remotes, "current");
}
