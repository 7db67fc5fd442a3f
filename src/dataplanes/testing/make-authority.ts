import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export interface Pem {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority {
  /** PEM. */
  readonly certificate: string;
  /** For servers and clients. Names as `DNS:a.example`, `URI:spiffe://x`, `email:me@x`. */
  issue(names: readonly string[]): Promise<Pem>;
}

const KINDS: Readonly<Record<string, "dns" | "url" | "email">> = { DNS: "dns", URI: "url", email: "email" };

/** A certificate authority of its own, good for a day. */
export async function makeAuthority(): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) };
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    serialNumber: "01",
    name: "CN=test authority",
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return {
    certificate: own.toString("pem"),
    async issue(names) {
      const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const certificate = await x509.X509CertificateGenerator.create({
        ...validity,
        serialNumber: "02",
        subject: "CN=test",
        issuer: own.subject,
        publicKey: pair.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [new x509.SubjectAlternativeNameExtension(names.map(generalName))],
      });
      const key = KeyObject.from(pair.privateKey);
      return { certificate: certificate.toString("pem"), key: key.export({ type: "pkcs8", format: "pem" }) as string };
    },
  };
}

function generalName(name: string): x509.JsonGeneralName {
  const at = name.indexOf(":");
  return { type: KINDS[name.slice(0, at)] ?? "dns", value: name.slice(at + 1) };
}
