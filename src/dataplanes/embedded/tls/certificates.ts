import { hkdfSync, randomBytes } from "node:crypto";
import type { SecureContext } from "node:tls";
import type { ListenConfig } from "../../../config/schema.ts";
import type { Problem } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { CertificateFile, startCertificateFiles } from "./certificate-file.ts";
import type { LocalAuthority, Pem } from "./local-authority.ts";
import { LocalCertificates } from "./local-certificates.ts";

export interface CertificatesDeps {
  readonly config: NonNullable<ListenConfig["tls"]>;
  /** For names that no file has; null: there is none. */
  readonly authority: LocalAuthority | null;
  /** The same in every process of a gate, so that a session may go on in another one; null: this process is alone. Never logged. */
  readonly ticketSecret: Buffer | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often files are looked at. */
const LOOK_MS = 1000;
/** How long a key for session tickets is used; a session from before it costs one full handshake. */
const TICKET_KEY_MS = 12 * 3_600_000;
/** So many node takes. */
const TICKET_KEY_BYTES = 48;

/** What the gate shows to whom, kept current: files are read again when they change, what is issued here is renewed. */
export class Certificates implements Disposable {
  readonly #deps: CertificatesDeps;
  readonly #files: readonly CertificateFile[];
  readonly #local: LocalCertificates | null;
  readonly #secret: Buffer;
  readonly #listeners = new Set<() => void>();
  #exact = new Map<string, CertificateFile>();
  #standard: Pem | null = null;
  #timer: Disposable | null = null;
  #closed = false;

  /** Files have been read. */
  constructor(deps: CertificatesDeps, files: readonly CertificateFile[]) {
    this.#deps = deps;
    this.#files = files;
    this.#local = deps.authority === null ? null : new LocalCertificates(deps.authority, deps.clock);
    this.#secret = deps.ticketSecret ?? randomBytes(32);
    this.#index();
  }

  async start(): Promise<void> {
    await this.#refresh();
    this.#look();
  }

  /** For who names no server. */
  get standard(): Pem {
    if (this.#standard === null) throw new Error("certificates were not started");
    return this.#standard;
  }

  /** What session tickets are sealed with now. */
  get ticketKey(): Buffer {
    const period = Math.floor(this.#deps.clock.now() / TICKET_KEY_MS);
    return Buffer.from(hkdfSync("sha256", this.#secret, "", `tickets ${String(period)}`, TICKET_KEY_BYTES));
  }

  /** For a visitor who names this server; undefined: nothing is for it, so that it gets the standard one. */
  pick(serverName: string): SecureContext | Promise<SecureContext> | undefined {
    return this.#find(serverName)?.context ?? this.#local?.pick(serverName);
  }

  /** Whether who was shown the certificate for `serverName` may ask for `host`: whether both come from the same source. */
  sameFor(serverName: string, host: string): boolean {
    return serverName === host || this.#sourceOf(serverName) === this.#sourceOf(host);
  }

  /** File by which who knows no authority knows the one that `host` shows: its own chain, or the local authority. */
  trustFile(host: string): string | undefined {
    const source = this.#sourceOf(host);
    return source instanceof CertificateFile ? source.path : this.#deps.authority?.file;
  }

  /** Files that cannot be used now, though older content of them still is; and what ends soon. */
  get problems(): readonly Problem[] {
    return this.#files.flatMap((file) => file.problems(this.#deps.clock.now()));
  }

  /** Calls after every change of certificates, ticket keys or problems. */
  onChange(call: () => void): void {
    this.#listeners.add(call);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #sourceOf(host: string): CertificateFile | LocalCertificates | undefined {
    const file = this.#find(host);
    if (file !== undefined) return file;
    return this.#local?.covers(host) === true ? this.#local : this.#files[0];
  }

  /** The name itself before a wildcard for it (RFC 9525 §6.3: one label); the first file that holds it. */
  #find(host: string): CertificateFile | undefined {
    const parent = host.slice(host.indexOf(".") + 1);
    return this.#exact.get(host) ?? (parent === host ? undefined : this.#exact.get(`*.${parent}`));
  }

  #index(): void {
    this.#exact = new Map();
    for (const file of this.#files) {
      for (const name of file.names) if (!this.#exact.has(name)) this.#exact.set(name, file);
    }
  }

  /** The first file, else what the authority issues. True: it is another one than before. */
  async #refresh(): Promise<boolean> {
    const before = this.#standard;
    const standard = this.#files[0]?.pem ?? (await this.#local?.standard());
    if (standard === undefined) throw new Error("there is no certificate at all");
    this.#standard = standard;
    return before !== standard;
  }

  /** Name of the loop: looking after certificates. Ends when disposed of. */
  #look(): void {
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      void this.#lookOnce().finally(() => {
        if (!this.#closed) this.#look();
      });
    });
  }

  async #lookOnce(): Promise<void> {
    const key = this.ticketKey;
    const changes = await Promise.all(this.#files.map((file) => file.look(this.#deps.clock.now())));
    if (changes.includes("certificate")) this.#index();
    const other = await this.#refresh().catch((err: unknown) => {
      this.#deps.logger.error({ err }, "issuing a certificate failed");
      return false;
    });
    const news = other || changes.some((change) => change !== null) || !key.equals(this.ticketKey);
    if (news && !this.#closed) for (const call of this.#listeners) call();
  }
}

/** Reads all files. Throws GatewayError `bad_request` for one that cannot be used. */
export async function startCertificates(deps: CertificatesDeps): Promise<Certificates> {
  const started = new Certificates(deps, await startCertificateFiles(deps.config, deps.logger));
  await started.start();
  return started;
}
