import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import type { SecureContext } from "node:tls";
import type { ListenConfig } from "../../../config/schema.ts";
import { GatewayError, type Problem } from "../../../model/index.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Pem } from "./local-authority.ts";
import { serverContext } from "./secure-context.ts";

export interface CertificatePair {
  /** File with the chain, PEM. */
  readonly certificate: string;
  /** File with the private key, PEM. */
  readonly key: string;
}

interface Loaded {
  readonly context: SecureContext;
  readonly pem: Pem;
  readonly names: readonly string[];
  /** Epoch ms. */
  readonly notAfter: number;
}

const DAY_MS = 86_400_000;
/** Those who renew by themselves do so with a third of 90 days left. */
const ENDS_SOON_MS = 14 * DAY_MS;
/** The two files are seldom written at once: what does not fit is news when it still does not at the next look. */
const FAILURES_MAX = 2;

/** One certificate with its key, as the files had them when they last could be used. */
export class CertificateFile {
  readonly path: string;
  readonly #pair: CertificatePair;
  readonly #logger: Logger;
  #loaded: Loaded | null = null;
  /** Of both files, when they were last read. */
  #signature = "";
  #failures = 0;
  #failure: string | null = null;
  #told = "";

  constructor(pair: CertificatePair, logger: Logger) {
    this.path = pair.certificate;
    this.#pair = pair;
    this.#logger = logger;
  }

  /** Reads the files for the first time. Throws GatewayError `bad_request`. */
  async start(): Promise<void> {
    try {
      this.#signature = await this.#look();
      this.#loaded = await this.#read();
    } catch (cause) {
      throw new GatewayError("bad_request", this.#misfit(), { cause });
    }
  }

  get context(): SecureContext {
    return this.#held.context;
  }

  /** The same object until it is read anew. */
  get pem(): Pem {
    return this.#held.pem;
  }

  /** Host names that it is for, lower case; `*.example.com` among them. */
  get names(): readonly string[] {
    return this.#held.names;
  }

  /** Epoch ms. */
  get notAfter(): number {
    return this.#held.notAfter;
  }

  get #held(): Loaded {
    if (this.#loaded === null) throw new Error("the certificate was not read");
    return this.#loaded;
  }

  /** Reads the files again where they changed. What it says: there is another certificate, or other problems; never throws. */
  async look(now: number): Promise<"certificate" | "problems" | null> {
    const changed = await this.#reload();
    const told = this.problems(now).map(({ code, message }) => `${code} ${message}`).join("\n"); // prettier-ignore
    const news = told !== this.#told;
    this.#told = told;
    return changed ? "certificate" : news ? "problems" : null;
  }

  async #reload(): Promise<boolean> {
    try {
      const signature = await this.#look();
      if (signature === this.#signature && this.#failures === 0) return false;
      this.#loaded = await this.#read();
      this.#signature = signature;
      this.#failures = 0;
      this.#failure = null;
      this.#logger.info({ file: this.path, notAfter: new Date(this.notAfter) }, "certificate read again");
      return true;
    } catch (err) {
      this.#failures += 1;
      if (this.#failures === FAILURES_MAX) {
        this.#failure = `${this.#misfit()} The certificate from before is still served.`;
        this.#logger.warn({ err, file: this.path }, "changed certificate cannot be used");
      }
      return false;
    }
  }

  /** Empty where all is well. */
  problems(now: number): readonly Problem[] {
    const subject = this.path;
    const unusable: Problem[] =
      this.#failure === null ? [] : [{ subject, code: "certificate_unusable", message: this.#failure }];
    const left = this.notAfter - now;
    if (left > ENDS_SOON_MS) return unusable;
    const date = new Date(this.notAfter).toISOString().slice(0, 10);
    const message = left > 0 ? `The certificate ends on ${date}. Renew it.` : `The certificate ended on ${date}: browsers refuse it. Renew it.`; // prettier-ignore
    return [...unusable, { subject, code: "certificate_ends", message }];
  }

  async #look(): Promise<string> {
    const { certificate, key } = this.#pair;
    const stats = await Promise.all([stat(certificate), stat(key)]);
    return stats.map(({ ino, size, mtimeMs, ctimeMs }) => [ino, size, mtimeMs, ctimeMs].join(" ")).join(" ");
  }

  async #read(): Promise<Loaded> {
    const [cert, key] = await Promise.all([readFile(this.#pair.certificate, "utf8"), readFile(this.#pair.key, "utf8")]);
    const context = serverContext({ cert, key });
    const leaf = new X509Certificate(cert);
    return { context, pem: { cert, key }, names: namesOf(leaf), notAfter: Date.parse(leaf.validTo) };
  }

  #misfit(): string {
    const { certificate, key } = this.#pair;
    return `Cannot use the certificate ${certificate} with the key ${key}: expected PEM files that belong together.`;
  }
}

/** Files that a configuration names, read, the one of `certificate` first. Throws GatewayError `bad_request` for one that cannot be used. */
export async function startCertificateFiles(
  { certificate, key, certificates }: NonNullable<ListenConfig["tls"]>,
  logger: Logger,
): Promise<readonly CertificateFile[]> {
  const first = certificate === undefined || key === undefined ? [] : [{ certificate, key }];
  const files = [...first, ...certificates].map((pair) => new CertificateFile(pair, logger));
  for (const file of files) await file.start();
  return files;
}

const NAME = /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** Of the subject alternative names; browsers have not looked at any other for years (RFC 9525 §6.3). */
function namesOf({ subjectAltName = "" }: X509Certificate): string[] {
  return subjectAltName
    .split(", ")
    .filter((name) => name.startsWith("DNS:"))
    .map((name) => name.slice("DNS:".length).toLowerCase())
    .filter((name) => NAME.test(name));
}
