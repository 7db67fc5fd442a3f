import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Pem {
  readonly certificate: string;
  readonly key: string;
}

/** Paths of a certificate and its key. */
export interface PemFiles extends AsyncDisposable {
  readonly certificate: string;
  readonly key: string;
  /** Replaces both files, each at once, the certificate first. */
  write(pem: Pem): Promise<void>;
}

/** Files that end with the test. */
export async function writePem(pem: Pem): Promise<PemFiles> {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-pem-"));
  const certificate = join(folder, "certificate.pem");
  const key = join(folder, "key.pem");
  const write = async (next: Pem) => {
    for (const [path, text] of [
      [certificate, next.certificate],
      [key, next.key],
    ] as const) {
      await writeFile(`${path}.new`, text, { mode: 0o600 });
      await rename(`${path}.new`, path);
    }
  };
  await write(pem);
  return { certificate, key, write, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}
