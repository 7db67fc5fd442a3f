import type { Clock } from "../platform/clock.ts";
import type { Lasting } from "./lasting.ts";
import type { TaskDirectory } from "./task-directory.ts";
import type { Visibility } from "./visibility.ts";
import type { LiveEvent } from "./wire.ts";

/** Tells everything between that the stream is alive, and finds out that nobody is there any more. */
const HEARTBEAT_MS = 15_000;
/** What may wait for a slow reader; then it gets no more changes, but the whole state once it has caught up. */
const WAITING_BYTES = 256 * 1024;

const encoder = new TextEncoder();
const HEARTBEAT = encoder.encode(": alive\n\n");
/** Written once for all who see everything. */
const written = new WeakMap<LiveEvent, Uint8Array>();

export interface EventStreamDeps {
  readonly directory: TaskDirectory;
  readonly visibility: Visibility;
  readonly clock: Clock;
}

/** Server-sent events: the present state, then what changes, until the reader leaves or `lasting` is over. Throws if it is. */
export function openEventStream(deps: EventStreamDeps, lasting: Lasting): ReadableStream<Uint8Array> {
  const { directory, visibility, clock } = deps;
  const { signal } = lasting;
  const scope = new DisposableStack();
  scope.use(lasting);
  let behind = false;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (event: LiveEvent) => {
          const seen = visibility.filter(event);
          if (hasRoom(controller)) controller.enqueue(write(seen));
          else behind = true;
        };
        const beat = () => {
          if (hasRoom(controller)) controller.enqueue(HEARTBEAT);
        };
        const end = () => {
          scope.dispose();
          controller.close();
        };
        if (signal.aborted) scope.dispose();
        signal.throwIfAborted();
        signal.addEventListener("abort", end, { once: true });
        scope.defer(() => signal.removeEventListener("abort", end));
        scope.use(directory.subscribe(send));
        scope.use(everyHeartbeat(clock, beat));
      },
      pull(controller) {
        if (!behind) return;
        behind = false;
        const whole: LiveEvent = { kind: "tasks", tasks: directory.list(), problems: directory.problems() };
        controller.enqueue(write(visibility.filter(whole)));
      },
      cancel: () => scope.dispose(),
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES }),
  );
}

function hasRoom(controller: ReadableStreamDefaultController<Uint8Array>): boolean {
  return (controller.desiredSize ?? 0) > 0;
}

function write(event: LiveEvent): Uint8Array {
  let bytes = written.get(event);
  if (bytes === undefined) {
    bytes = encoder.encode(`event: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`);
    written.set(event, bytes);
  }
  return bytes;
}

function everyHeartbeat(clock: Clock, beat: () => void): Disposable {
  let timer: Disposable;
  const again = () => {
    timer = clock.after(HEARTBEAT_MS, () => {
      beat();
      again();
    });
  };
  again();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
