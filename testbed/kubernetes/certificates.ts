import "reflect-metadata";
import { generateKeyPairSync, KeyObject, webcrypto } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { NODE_NAME, type Plan } from "./plan.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;
/** A testbed lives for a day's work; whoever keeps one is not to wonder in a week. */
const LIFE_MS = 365 * DAY_MS;

/** Files of one key and the certificate for it. */
export interface KeyFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Files of a cluster's own authority and of all that it vouches for. */
export interface Certificates {
  readonly authority: KeyFiles;
  /** Signs the tokens of service accounts. */
  readonly serviceAccounts: { readonly publicKey: string; readonly key: string };
  readonly apiServer: KeyFiles;
  /** Whom the API server calls the kubelet as. */
  readonly apiServerToKubelet: KeyFiles;
  readonly kubeletServer: KeyFiles;
  /** By the name of who shows it to the API. */
  readonly clients: Readonly<Record<Client, KeyFiles>>;
}

export type Client = "admin" | "kube-controller-manager" | "kube-scheduler" | "kubelet" | "kube-proxy";

/** Name and group by which Kubernetes' own roles know each. */
const CLIENTS: Readonly<Record<Client, Subject>> = {
  admin: { name: "admin", group: "system:masters" },
  "kube-controller-manager": { name: "system:kube-controller-manager" },
  "kube-scheduler": { name: "system:kube-scheduler" },
  kubelet: { name: `system:node:${NODE_NAME}`, group: "system:nodes" },
  "kube-proxy": { name: "system:kube-proxy" },
};

interface Subject {
  readonly name: string;
  readonly group?: string;
}

/** Makes an authority for this cluster alone and all certificates, in `folder`. */
export async function makeCertificates(plan: Plan, folder: string): Promise<Certificates> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const authority = await Authority.make(folder, `taskgate testbed ${plan.name}`);
  const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
  const apiNames = [...names, "localhost", "127.0.0.1", plan.nodeAddress, plan.apiAddress];
  const clients = await Promise.all(
    Object.entries(CLIENTS).map(async ([name, subject]) => [
      name,
      await authority.issue(`client-${name}`, subject, []),
    ]),
  );
  return {
    authority: authority.files,
    serviceAccounts: makeKeyPair(folder),
    apiServer: await authority.issue("api-server", { name: "kube-apiserver" }, apiNames),
    apiServerToKubelet: await authority.issue(
      "api-server-to-kubelet",
      { name: "kube-apiserver", group: "system:masters" },
      [],
    ),
    kubeletServer: await authority.issue("kubelet-server", { name: NODE_NAME }, [NODE_NAME, plan.nodeAddress]),
    clients: Object.fromEntries(clients) as Record<Client, KeyFiles>,
  };
}

class Authority {
  readonly files: KeyFiles;
  readonly #folder: string;
  readonly #own: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(folder: string, own: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#folder = folder;
    this.#own = own;
    this.#keys = keys;
    this.files = save(folder, "authority", own, keys.privateKey);
  }

  static async make(folder: string, name: string): Promise<Authority> {
    const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const own = await x509.X509CertificateGenerator.createSelfSigned({
      ...validity(),
      serialNumber: serialNumber(),
      name: [{ CN: [name] }],
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(folder, own, keys);
  }

  /** For servers at these names and addresses, and for clients. */
  async issue(file: string, subject: Subject, names: readonly string[]): Promise<KeyFiles> {
    const pair = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
    const alternatives = names.map((name) => ({ type: isIP(name) === 0 ? "dns" : "ip", value: name }) as const);
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity(),
      serialNumber: serialNumber(),
      subject: [{ CN: [subject.name] }, ...(subject.group === undefined ? [] : [{ O: [subject.group] }])],
      issuer: this.#own.subjectName,
      publicKey: pair.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth]),
        await x509.AuthorityKeyIdentifierExtension.create(this.#own),
        ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
      ],
    });
    return save(this.#folder, file, certificate, pair.privateKey);
  }
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + LIFE_MS) };
}

/** Positive and unpredictable: RFC 5280 §4.1.2.2. */
function serialNumber(): string {
  return `4${Buffer.from(webcrypto.getRandomValues(new Uint8Array(15))).toString("hex")}0`;
}

function save(folder: string, name: string, certificate: x509.X509Certificate, key: webcrypto.CryptoKey): KeyFiles {
  const files = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  writeFileSync(files.certificate, `${certificate.toString("pem")}\n`);
  writeFileSync(files.key, KeyObject.from(key).export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return files;
}

function makeKeyPair(folder: string): Certificates["serviceAccounts"] {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const files = { publicKey: join(folder, "service-accounts.pub"), key: join(folder, "service-accounts.key") };
  writeFileSync(files.publicKey, publicKey.export({ type: "spki", format: "pem" }));
  writeFileSync(files.key, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  return files;
}
