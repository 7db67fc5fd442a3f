import { createPrivateKey, type webcrypto, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import {
  issueCertificate,
  makeAuthority,
  makeKeys,
  nameConstraints,
  type Pem,
  type Validity,
} from "../../../platform/x509-authority.ts";

export interface LocalAuthorityOptions {
  /** Made where it is not there, for its owner alone. */
  readonly folder: string;
  /** It vouches for these names and what is below the first, and for loopback addresses. */
  readonly names: readonly [domain: string, ...others: string[]];
  /** Epoch ms. */
  readonly now: number;
}

export type { Pem, Validity };

/** An authority of this gate alone. Whoever trusts it trusts its names alone: they are in its certificate as constraints (RFC 5280 §4.2.1.10). */
export interface LocalAuthority {
  /** File with its certificate, PEM: what people trust. */
  readonly file: string;
  /** It was made just now: nobody trusts it yet. */
  readonly isNew: boolean;
  /** Names and addresses for who names no server; the first is the name that it is kept under. */
  readonly standard: readonly string[];
  covers(name: string): boolean;
  /** A certificate for names and addresses, the first of them its subject. */
  issue(names: readonly string[], validity: Validity): Promise<Pem>;
}

const DAY_MS = 86_400_000;
const LIFE_MS = 10 * 365 * DAY_MS;
/** Longer than what it issues is good for. */
const RENEW_MS = 60 * DAY_MS;
const LOOPBACK = ["127.0.0.1", "::1"] as const;

/** Reads the authority of the folder, or makes one where there is none, where it ends soon and where it vouches for other names. */
export async function openLocalAuthority(options: LocalAuthorityOptions): Promise<LocalAuthority> {
  const files = { certificate: join(options.folder, "ca.pem"), key: join(options.folder, "ca-key.pem") };
  const kept = await readKept(files);
  if (kept !== null && isCurrent(kept.cert, options)) return new OwnAuthority(options, kept, { file: files.certificate, isNew: false }); // prettier-ignore
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const { names, now } = options;
  const validity = { notBefore: now - DAY_MS, notAfter: now + LIFE_MS };
  const made = await makeAuthority(`taskgate ${names[0]} on ${hostname()}`, names, validity);
  // Broken off between the two, they do not belong together, and both are made anew.
  await writeWhole(files.key, made.key);
  await writeWhole(files.certificate, made.cert);
  return new OwnAuthority(options, made, { file: files.certificate, isNew: true });
}

async function readKept(files: { readonly certificate: string; readonly key: string }): Promise<Pem | null> {
  try {
    const [cert, key] = await Promise.all([readFile(files.certificate, "utf8"), readFile(files.key, "utf8")]);
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? { cert, key } : null;
  } catch {
    return null; // not there, or not whole
  }
}

async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${String(process.pid)}`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}

function isCurrent(cert: string, { names, now }: LocalAuthorityOptions): boolean {
  const { validTo, raw } = new X509Certificate(cert);
  return Date.parse(validTo) - now > RENEW_MS && raw.includes(nameConstraints(names));
}

class OwnAuthority implements LocalAuthority {
  readonly file: string;
  readonly isNew: boolean;
  readonly standard: readonly string[];
  readonly #names: LocalAuthorityOptions["names"];
  readonly #pem: Pem;
  /** One for all certificates of this process: who issues them holds the key anyway. */
  #keys: Promise<webcrypto.CryptoKeyPair> | null = null;

  constructor({ names }: LocalAuthorityOptions, pem: Pem, { file, isNew }: { file: string; isNew: boolean }) {
    this.file = file;
    this.isNew = isNew;
    this.standard = [...new Set([...names.slice(1), names[0], ...LOOPBACK])];
    this.#names = names;
    this.#pem = pem;
  }

  covers(name: string): boolean {
    return this.#names.some((own) => name === own || name.endsWith(`.${own}`));
  }

  async issue(names: readonly string[], validity: Validity): Promise<Pem> {
    return issueCertificate(this.#pem, names, { ...validity, keys: await (this.#keys ??= makeKeys()) });
  }
}
