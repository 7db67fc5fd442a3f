import type * as X509Library from "@peculiar/x509";
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";

export interface LocalAuthorityOptions {
  /** Made where it is not there, for its owner alone. */
  readonly folder: string;
  /** It vouches for these names and what is below the first, and for loopback addresses. */
  readonly names: readonly [domain: string, ...others: string[]];
  /** Epoch ms. */
  readonly now: number;
}

export interface Validity {
  /** Epoch ms. */
  readonly notBefore: number;
  /** Epoch ms. */
  readonly notAfter: number;
}

export interface Pem {
  /** The chain. */
  readonly cert: string;
  readonly key: string;
}

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

/** Heavy, and of no use but here: loaded when something is issued. It does nothing without the other one (it says so when it throws). */
async function loadX509(): Promise<typeof X509Library> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

const DAY_MS = 86_400_000;
const LIFE_MS = 10 * 365 * DAY_MS;
/** Longer than what it issues is good for. */
const RENEW_MS = 60 * DAY_MS;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** TLS Web Server Authentication: RFC 5280 §4.2.1.12. */
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const NAME_CONSTRAINTS = "2.5.29.30";
const LOOPBACK = ["127.0.0.1", "::1"] as const;

/** Reads the authority of the folder, or makes one where there is none, where it ends soon and where it vouches for other names. */
export async function openLocalAuthority(options: LocalAuthorityOptions): Promise<LocalAuthority> {
  const files = { certificate: join(options.folder, "ca.pem"), key: join(options.folder, "ca-key.pem") };
  const kept = await readKept(files);
  if (kept !== null && isCurrent(kept.cert, options)) return new OwnAuthority(options, kept, { file: files.certificate, isNew: false }); // prettier-ignore
  await mkdir(options.folder, { recursive: true, mode: 0o700 });
  const made = await makeAuthority(options);
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

async function makeAuthority({ names, now }: LocalAuthorityOptions): Promise<Pem> {
  const x509 = await loadX509();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [`taskgate ${names[0]} on ${hostname()}`] }],
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.Extension(NAME_CONSTRAINTS, true, nameConstraints(names)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${certificate.toString("pem")}\n`, key: await pemOf(keys.privateKey) };
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

  async issue(names: readonly string[], { notBefore, notAfter }: Validity): Promise<Pem> {
    const x509 = await loadX509();
    const keys = await (this.#keys ??= webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]));
    const authority = new x509.X509Certificate(this.#pem.cert);
    const [subject = ""] = names;
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      // A common name holds 64 characters at most (RFC 5280, appendix A.1), and nobody looks at it.
      subject: [{ CN: [subject.slice(0, 64)] }],
      issuer: authority.subjectName,
      notBefore: new Date(notBefore),
      notAfter: new Date(Math.min(notAfter, authority.notAfter.getTime())),
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: await this.#signingKey(),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([SERVER_AUTH]),
        new x509.SubjectAlternativeNameExtension(
          names.map((name) => ({ type: isIP(name) === 0 ? "dns" : "ip", value: name })),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(authority),
      ],
    });
    return { cert: `${certificate.toString("pem")}\n`, key: await pemOf(keys.privateKey) };
  }

  #signingKey(): Promise<webcrypto.CryptoKey> {
    const der = createPrivateKey(this.#pem.key).export({ type: "pkcs8", format: "der" });
    return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
  }
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key));
  return createPrivateKey({ key: der, type: "pkcs8", format: "der" }).export({
    type: "pkcs8",
    format: "pem",
  }) as string;
}

/** Positive and unpredictable: RFC 5280 §4.1.2.2. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

/** The extension's value (RFC 5280 §4.2.1.10): these names with all below them, and loopback addresses; other kinds of names are not bound. */
function nameConstraints(names: readonly string[]): Buffer {
  const subtrees = [
    ...names.map((name) => der(0x30, der(0x82, Buffer.from(name)))),
    der(0x30, der(0x87, Buffer.from([127, 0, 0, 0, 255, 0, 0, 0]))),
    der(0x30, der(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1]), Buffer.alloc(16, 0xff)]))),
  ];
  return der(0x30, der(0xa0, Buffer.concat(subtrees)));
}

/** One element of DER (X.690 §10.1), shorter than 64 KiB. */
function der(tag: number, body: Buffer): Buffer {
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}
