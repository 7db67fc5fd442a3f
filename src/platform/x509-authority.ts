import type * as X509Library from "@peculiar/x509";
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";

export interface Validity {
  /** Epoch ms. */
  readonly notBefore: number;
  /** Epoch ms. */
  readonly notAfter: number;
}

/** Never logged. */
export interface Pem {
  /** The chain. */
  readonly cert: string;
  readonly key: string;
}

/** Heavy, and of no use but here: loaded when something is issued. It does nothing without the other one (it says so when it throws). */
async function loadX509(): Promise<typeof X509Library> {
  await import("reflect-metadata");
  return import("@peculiar/x509");
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** TLS Web Server Authentication: RFC 5280 §4.2.1.12. */
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const NAME_CONSTRAINTS = "2.5.29.30";

/** A key pair for certificates of one process. */
export function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

/** An authority that may vouch for these names, for what is below them and for loopback addresses alone. `subject`: for people. */
export async function makeAuthority(
  subject: string,
  names: readonly string[],
  { notBefore, notAfter }: Validity,
): Promise<Pem> {
  const x509 = await loadX509();
  const keys = await makeKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [subject] }],
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
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

/** A certificate of the authority for names and addresses, the first of them its subject; it ends no later than the authority does. */
export async function issueCertificate(
  issuer: Pem,
  names: readonly string[],
  { notBefore, notAfter, keys }: Validity & { readonly keys: webcrypto.CryptoKeyPair },
): Promise<Pem> {
  const x509 = await loadX509();
  const authority = new x509.X509Certificate(issuer.cert);
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
    signingKey: await signingKey(issuer.key),
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

function signingKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
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
export function nameConstraints(names: readonly string[]): Buffer {
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
