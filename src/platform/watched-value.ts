import { GatewayError } from "../model/index.ts";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import { type FileContent, startWatchedFile } from "./watched-file.ts";

export interface WatchedValueDeps<T> {
  readonly path: string;
  /** What the file says; a text is what is wrong with it, and is logged. */
  readonly parse: (text: string) => { readonly value: T } | string;
  /** Called once before `startWatchedValue` resolves, then whenever the file says something good again. */
  readonly take: (value: T) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Hands over what a file says, live. A file that is broken later is not taken: what it said before counts. Throws `bad_request` where it is
 * broken now. Disposing it stops watching.
 */
export async function startWatchedValue<T>(deps: WatchedValueDeps<T>): Promise<AsyncDisposable> {
  const { path, parse, take, clock, logger } = deps;
  const seen: { started: boolean; refusal: string | null } = { started: false, refusal: null };
  const changed = (content: FileContent): void => {
    const parsed = content.ok ? parse(content.text) : content.message;
    if (typeof parsed !== "string") {
      if (seen.refusal !== null) logger.info({ file: path }, "file is good again");
      seen.refusal = null;
      take(parsed.value);
      return;
    }
    seen.refusal = content.ok ? `${path}: ${parsed}` : parsed;
    if (seen.started) logger.error({ reason: seen.refusal }, "file is not taken; what it said before counts");
  };
  const watching = await startWatchedFile({ path, clock, logger, changed });
  if (seen.refusal === null) {
    seen.started = true;
    return watching;
  }
  await watching[Symbol.asyncDispose]();
  throw new GatewayError("bad_request", seen.refusal);
}
