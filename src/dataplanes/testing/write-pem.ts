import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Paths of a certificate and its key in files that end with the test. */
export async function writePem(pem: {
  readonly certificate: string;
  readonly key: string;
}): Promise<{ readonly certificate: string; readonly key: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-plane-"));
  const certificate = join(folder, "certificate.pem");
  const key = join(folder, "key.pem");
  await Promise.all([writeFile(certificate, pem.certificate), writeFile(key, pem.key)]);
  return { certificate, key, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
