import { request } from "node:http";
import { text } from "node:stream/consumers";
import type { Address } from "../model/index.ts";

const TIME_MS = 2000;
const MOST_BYTES = 1_048_576;

/**
 * Whether a Jupyter server says that one of its kernels works. false too where it does not say: it is gone, asks for a login that the gate
 * does not have, or lives below a path that is not known. `address` is one that its provider gave.
 */
export async function hasBusyKernel(address: Address): Promise<boolean> {
  try {
    const kernels = JSON.parse(await ask(address, "/api/kernels")) as unknown;
    return (
      Array.isArray(kernels) &&
      kernels.some((kernel) => (kernel as { execution_state?: unknown }).execution_state === "busy")
    );
  } catch {
    return false;
  }
}

function ask(address: Address, path: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const to = "unix" in address ? { socketPath: address.unix } : { host: address.ip, port: address.port };
  const asking = request({ ...to, path, signal: AbortSignal.timeout(TIME_MS), agent: false }, (answer) => {
    let size = 0;
    answer.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MOST_BYTES) asking.destroy(new Error("too long"));
    });
    if (answer.statusCode === 200) text(answer).then(resolve, reject);
    else {
      answer.resume();
      reject(new Error(`status ${String(answer.statusCode)}`));
    }
  });
  asking.on("error", reject);
  asking.end();
  return promise;
}
