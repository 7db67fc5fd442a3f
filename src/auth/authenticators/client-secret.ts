import { readFile } from "node:fs/promises";
import { GatewayError } from "../../model/index.ts";

/** What the file holds now: a secret may change while the gate runs. null: the method has none. Throws `unavailable`. */
export async function readClientSecret(method: {
  readonly name: string;
  readonly clientSecretFile?: string | undefined;
}): Promise<string | null> {
  if (method.clientSecretFile === undefined) return null;
  try {
    return (await readFile(method.clientSecretFile, "utf8")).trim();
  } catch (cause) {
    throw new GatewayError("unavailable", `${method.name}: the file with the client secret cannot be read`, { cause });
  }
}
