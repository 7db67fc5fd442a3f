import "reflect-metadata";
import { generateKeyPairSync, KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const DAY_MS = 86_400_000;
const PLACE = "L=San Francisco, ST=, C=US, 2.5.4.9=Golden Gate Bridge, 2.5.4.17=94016";

/** PEM. */
export interface Pem {
  readonly certificate: string;
  readonly key: string;
}

/** What Determined's master makes for itself and keeps in its database (master/internal/proxy/tls.go). */
export interface MasterAuthority {
  /** PEM. */
  readonly certificate: string;
  /** What the master shows notebooks. */
  readonly master: Pem;
  /** What a notebook is given, one of its own each. */
  issue(): Promise<Pem>;
}

/** An authority as a master makes it, but for its keys: half as long, which takes a tenth of the time. No certificate names a host. */
export async function makeMasterAuthority(): Promise<MasterAuthority> {
  const keys = await rsaKeys();
  const usages = new x509.ExtendedKeyUsageExtension([
    x509.ExtendedKeyUsage.clientAuth,
    x509.ExtendedKeyUsage.serverAuth,
  ]);
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 3650 * DAY_MS) };
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: serial(),
    name: `O=Determined Master CA, ${PLACE}`,
    keys: keys.pair,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyCertSign, true),
      usages,
      await x509.SubjectKeyIdentifierExtension.create(keys.pair.publicKey),
    ],
  });
  const issue = async (): Promise<Pem> => {
    const { pair, pem } = await rsaKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity,
      serialNumber: serial(),
      subject: `O=Determined Master, ${PLACE}`,
      issuer: own.subject,
      publicKey: pair.publicKey,
      signingKey: keys.pair.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        usages,
        await x509.AuthorityKeyIdentifierExtension.create(own),
      ],
    });
    return { certificate: certificate.toString("pem"), key: pem };
  };
  return { certificate: own.toString("pem"), master: await issue(), issue };
}

/** The private key as Determined keeps it: PKCS #1. */
async function rsaKeys(): Promise<{ readonly pair: webcrypto.CryptoKeyPair; readonly pem: string }> {
  const made = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const der = { public: made.publicKey.export({ type: "spki", format: "der" }), private: made.privateKey.export({ type: "pkcs8", format: "der" }) }; // prettier-ignore
  const [publicKey, privateKey] = await Promise.all([
    webcrypto.subtle.importKey("spki", der.public, ALGORITHM, true, ["verify"]),
    webcrypto.subtle.importKey("pkcs8", der.private, ALGORITHM, true, ["sign"]),
  ]);
  const pem = KeyObject.from(privateKey).export({ type: "pkcs1", format: "pem" }) as string;
  return { pair: { publicKey, privateKey } satisfies webcrypto.CryptoKeyPair, pem };
}

function serial(): string {
  return `0${Buffer.from(webcrypto.getRandomValues(new Uint8Array(8)))
    .toString("hex")
    .slice(1)}`;
}
