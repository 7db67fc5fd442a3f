import { accessSync, constants, statSync } from "node:fs";
import type { Finding } from "./describe-issue.ts";
import { errnoOf } from "./read-layers.ts";
import type { Config } from "./schema.ts";

/** What is wrong with the files that a configuration names, as they are now. */
export function checkFiles({ listen }: Partial<Config>): Finding[] {
  if (listen?.tls === undefined) return [];
  const { certificate, key } = listen.tls;
  return [
    ...checkReadable(certificate, "certificate"),
    ...checkReadable(key, "key"),
    ...checkPrivate(key, ["listen", "tls", "key"]),
  ];
}

function checkReadable(file: string, name: "certificate" | "key"): Finding[] {
  const about = { path: ["listen", "tls", name], key: `listen.tls.${name}` };
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isFile() ? [] : [{ ...about, message: "is no file; expected a file in PEM" }];
  } catch (error) {
    return [{ ...about, message: `the file cannot be read (${errnoOf(error)})` }];
  }
}

/** A warning: some platforms that mount secrets can do no better. */
function checkPrivate(file: string, path: readonly string[]): Finding[] {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode ?? 0;
  if ((mode & 0o077) === 0) return [];
  const message = `others can read the file (mode ${(mode & 0o777).toString(8)}); run chmod 600 on it`;
  return [{ path, key: path.join("."), message, severity: "warning" }];
}
