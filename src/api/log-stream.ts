import { setImmediate } from "node:timers/promises";
import type { Clock } from "../platform/clock.ts";
import type { Lasting } from "./lasting.ts";

const CHUNK_LENGTH = 32 * 1024;
/** How long a log may take to fail before the answer begins: until then the failure has a status of its own. */
const FIRST_MS = 100;

const encoder = new TextEncoder();

export interface LogStreamDeps {
  /** Starts reading; lines without ends. Ends by the signal. */
  read(signal: AbortSignal): AsyncIterable<string>;
  /** Told of a failure after the answer began: the reader must not take what it got for the whole. */
  failed(error: unknown): void;
  readonly clock: Clock;
}

/** Lines as text, read only as fast as they are taken, until the reader leaves or `lasting` is over. Rejects with an early failure. */
export async function openLogStream(deps: LogStreamDeps, lasting: Lasting): Promise<ReadableStream<Uint8Array>> {
  const leave = new AbortController();
  const signal = AbortSignal.any([leave.signal, lasting.signal]);
  const chunks = chunksOf(deps.read(signal));
  let next: Promise<IteratorResult<Uint8Array, undefined>> | null = chunks.next();
  try {
    await early(next, deps.clock);
  } catch (error) {
    lasting[Symbol.dispose]();
    throw error;
  }
  const end = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    lasting[Symbol.dispose]();
    if (!leave.signal.aborted) controller.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await (next ?? chunks.next());
          next = null;
          if (done === true) end(controller);
          else controller.enqueue(value);
        } catch (error) {
          if (!signal.aborted) deps.failed(error);
          // Not an error of the stream: the HTTP adapter would write it to standard error.
          end(controller);
        }
      },
      async cancel() {
        lasting[Symbol.dispose]();
        leave.abort();
        // An iterator may answer an abort by throwing, and nobody is left to hear it.
        await chunks.return(undefined).catch(() => undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

async function early(first: Promise<unknown>, clock: Clock): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = clock.after(FIRST_MS, () => resolve(undefined));
  try {
    await Promise.race([first, late]);
  } finally {
    timer[Symbol.dispose]();
  }
}

/** Lines that are there at once go together. */
async function* chunksOf(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array, undefined> {
  const iterator = lines[Symbol.asyncIterator]();
  const advance = () => {
    const pending = iterator.next();
    // It is awaited below, but maybe only after it failed.
    pending.catch(() => undefined);
    return pending;
  };
  try {
    let pending = advance();
    for (;;) {
      let got: IteratorResult<string, unknown> | undefined = await pending;
      let text = "";
      while (got !== undefined && got.done !== true) {
        text += `${got.value}\n`;
        pending = advance();
        got = text.length < CHUNK_LENGTH ? await Promise.race([pending, setImmediate(undefined)]) : undefined;
      }
      if (text !== "") yield encoder.encode(text);
      if (got?.done === true) return undefined;
    }
  } finally {
    await iterator.return?.();
  }
}
