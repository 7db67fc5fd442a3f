import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { freePort } from "../src/dataplanes/testing/apps.ts";
import { buildOnce } from "./build-once.ts";
import { debianProgram } from "./debian-program.ts";
import { runProgram } from "./run-program.ts";

const VERSION = "7.0.0";
const START_MS = 20_000;

/**
 * Folder with the npm package `kerberos`, for NODE_PATH. It is built once (seconds) from what npm serves, with Debian's libkrb5-dev, a
 * compiler and Node's headers.
 */
export async function kerberosPackage(): Promise<string> {
  const what = `building the npm package kerberos ${VERSION} (once, under a minute)`;
  const folder = await buildOnce(`kerberos-${VERSION}-napi`, what, async (folder) => {
    debianProgram("libkrb5-dev", ["/usr/include/gssapi/gssapi.h"]);
    const options = ["--no-save", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder];
    await runProgram("npm", ["install", ...options, `kerberos@${VERSION}`], { cwd: folder });
  });
  return join(folder, "node_modules");
}

/** Debian's programs of MIT Kerberos, installed where this may. */
function programs() {
  return {
    kdc: debianProgram("krb5-kdc", ["/usr/sbin/krb5kdc"]),
    createDatabase: debianProgram("krb5-kdc", ["/usr/sbin/kdb5_util"]),
    admin: debianProgram("krb5-admin-server", ["/usr/sbin/kadmin.local", "/usr/bin/kadmin.local"]),
    kinit: debianProgram("krb5-user", ["/usr/bin/kinit"]),
  };
}

/** A real KDC of MIT Kerberos with a database of its own, for one realm. It needs no privileges. Disposing it removes all of it. */
export interface TestKdc extends AsyncDisposable {
  readonly realm: string;
  /** For who is to talk to it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Adds a principal with a random key. */
  add(principal: string): Promise<void>;
  /** A new file with the principal's keys, which it changes unless `keep`. */
  keytab(principal: string, more?: { readonly keep?: boolean }): Promise<string>;
  /** Environment of somebody who has just logged in, with the keys in `keytab`. `lifetime`: of the ticket, seconds. */
  login(user: string, more?: { readonly lifetime?: number }): Promise<Readonly<Record<string, string>>>;
  /** Ends it; tickets that are there stay good. */
  stop(): Promise<void>;
  /** After `stop`: the same again. */
  start(): Promise<void>;
}

export interface KdcOptions {
  readonly realm: string;
  /** Seconds that clocks may differ. */
  readonly clockSkew?: number;
}

/** Starts it (a second) and waits until it answers. */
export async function startTestKdc(options: KdcOptions): Promise<TestKdc> {
  const kdc = new LiveKdc(options, await freePort());
  try {
    await kdc.create();
    await kdc.start();
  } catch (error) {
    await kdc[Symbol.asyncDispose]();
    throw error;
  }
  return kdc;
}

class LiveKdc implements TestKdc {
  readonly realm: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly #folder = mkdtempSync(join(tmpdir(), "taskgate-kdc-"));
  readonly #port: number;
  readonly #programs = programs();
  #process: ChildProcess | null = null;
  #files = 0;

  constructor({ realm, clockSkew = 300 }: KdcOptions, port: number) {
    this.realm = realm;
    this.#port = port;
    const [client, server] = [join(this.#folder, "krb5.conf"), join(this.#folder, "kdc.conf")];
    writeFileSync(client, clientConfig(realm, port, clockSkew));
    writeFileSync(server, serverConfig(realm, port, this.#folder));
    this.environment = { KRB5_CONFIG: client, KRB5_KDC_PROFILE: server, KRB5RCACHENAME: `dfl:`, KRB5RCACHEDIR: this.#folder }; // prettier-ignore
  }

  async create(): Promise<void> {
    const options = ["-s", "-W", "-P", "as good as any", "-r", this.realm];
    await runProgram(this.#programs.createDatabase, ["create", ...options], { env: this.environment });
  }

  async start(): Promise<void> {
    const { kdc } = this.#programs;
    const env = this.environment;
    const child = spawn(kdc, ["-n", "-r", this.realm], { env: { ...process.env, ...env }, stdio: "ignore" });
    this.#process = child;
    const end = Date.now() + START_MS;
    while (!(await answers(this.#port))) {
      if (Date.now() > end || child.exitCode !== null) throw new Error(`krb5kdc does not start: ${this.#folder}`);
      await setTimeout(50);
    }
  }

  async add(principal: string): Promise<void> {
    await this.#admin(`addprinc -randkey ${principal}`);
  }

  async keytab(principal: string, { keep = false } = {}): Promise<string> {
    const file = this.#file("keytab");
    await this.#admin(`ktadd -k ${file} ${keep ? "-norandkey " : ""}${principal}`);
    return file;
  }

  async login(user: string, { lifetime = 600 } = {}): Promise<Readonly<Record<string, string>>> {
    const env = { ...this.environment, KRB5CCNAME: `FILE:${this.#file("tickets")}` };
    const keytab = await this.keytab(user, { keep: true });
    await runProgram(this.#programs.kinit, ["-k", "-t", keytab, "-l", `${String(lifetime)}s`, user], { env });
    return env;
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    this.#files += 1;
    return join(this.#folder, `${name}-${String(this.#files)}`);
  }

  /** It tells what went wrong in its output, and ends well nevertheless. */
  async #admin(query: string): Promise<void> {
    await runProgram(this.#programs.admin, ["-r", this.realm, "-q", query], { env: this.environment });
  }
}

function clientConfig(realm: string, port: number, clockSkew: number): string {
  return `[libdefaults]
  default_realm = ${realm}
  clockskew = ${String(clockSkew)}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
[realms]
  ${realm} = {
    kdc = 127.0.0.1:${String(port)}
  }
[domain_realm]
  localhost = ${realm}
  .localhost = ${realm}
`;
}

function serverConfig(realm: string, port: number, folder: string): string {
  return `[kdcdefaults]
  kdc_listen = 127.0.0.1:${String(port)}
  kdc_tcp_listen = 127.0.0.1:${String(port)}
[realms]
  ${realm} = {
    database_name = ${join(folder, "principal")}
    key_stash_file = ${join(folder, "stash")}
    acl_file = ${join(folder, "kadm5.acl")}
    max_life = 1h
  }
[logging]
  kdc = FILE:${join(folder, "kdc.log")}
`;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
