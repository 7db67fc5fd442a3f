import { fchmodSync, openSync } from "node:fs";
import type { Gate } from "../app/gate.ts";
import { startGate } from "../app/start-gate.ts";
import { makeHome, type Home } from "../config/home.ts";
import type { Config } from "../config/schema.ts";
import { garbageCollector } from "../platform/garbage-collector.ts";
import { createLogger, type Logger } from "../platform/logger.ts";
import { GatewayError } from "../model/index.ts";
import { CommandFailure, EXIT, type ExitCode } from "./failure.ts";
import { aborted, note, type Terminal } from "./terminal.ts";

const STDERR = 2;

export interface ForegroundOptions {
  readonly home: Home;
  readonly config: Config;
  /** Says nothing: standard error is a log. */
  readonly quiet: boolean;
  /** Called when the gate answers; what it returns is disposed first when the gate is asked to stop. */
  readonly ready: (gate: Gate) => Promise<AsyncDisposable | null>;
}

/** Is the gate until the signal aborts: then it drains, and stops. Its tasks go on. */
export async function runForeground(terminal: Terminal, options: ForegroundOptions): Promise<ExitCode> {
  const { home, config } = options;
  const say = (line: string): void => {
    if (!options.quiet) note(terminal, line);
  };
  makeHome(home);
  const logger = createLogger({ level: config.log.level, fd: logTarget(terminal, home) });
  {
    await using gate = await startGate({ home, config, logger }).catch(withRemedy);
    const renewing = renewOnSignal(gate, logger);
    const beside = await options.ready(gate);
    // What starting left behind is a quarter of the memory, and nobody may come for long.
    garbageCollector()({ type: "major", execution: "sync", flavor: "last-resort" });
    await aborted(terminal.signal);
    say(`\nStopping: what is open gets ${String(config.drain / 1000)} s to end. Ctrl-C again stops at once.`);
    await beside?.[Symbol.asyncDispose](); // before draining: it may need the gate to come to its end
    await gate.drain(config.drain);
    renewing[Symbol.dispose]();
  }
  say("The gate is stopped. Tasks go on, and the next gate takes them in again.");
  return EXIT.ok;
}

/** SIGUSR2 puts fresh worker processes in the place of the present ones; a gate without workers has nothing to renew. */
function renewOnSignal(gate: Gate, logger: Logger): Disposable {
  const renew = (): void => {
    logger.info({ workers: gate.renew !== null }, "asked for fresh worker processes");
    gate.renew?.().catch((err: unknown) => logger.error({ err }, "worker processes could not be renewed"));
  };
  process.on("SIGUSR2", renew);
  return { [Symbol.dispose]: () => void process.off("SIGUSR2", renew) };
}

/** What to do about an address that cannot be had, by the key that a message begins with. */
const REMEDIES = {
  "listen.address": "TASKGATE_LISTEN_ADDRESS=127.0.0.1:PORT with a free port, or taskgate up --listen 127.0.0.1:PORT",
  "admin.address":
    "TASKGATE_ADMIN_ADDRESS=127.0.0.1:PORT with a free port, or taskgate up --set admin.address=127.0.0.1:PORT",
  dataPlane: "taskgate up --data-plane envoy takes it over; kill PROCESS ends it, and what is open",
} as const;

function withRemedy(error: unknown): never {
  if (!(error instanceof GatewayError)) throw error;
  const [, remedy] = Object.entries(REMEDIES).find(([key]) => error.message.startsWith(`${key}: `)) ?? [];
  if (remedy === undefined && error.code !== "conflict") throw error;
  throw new CommandFailure(EXIT.failure, error.message, {
    remedy: remedy ?? "another state folder: --home DIR",
    cause: error,
  });
}

/** Where somebody looks at standard error, log lines would be in the way: they go to the file. It stays open for as long as the process. */
function logTarget(terminal: Terminal, home: Home): number {
  if (!terminal.stderrIsTty) return STDERR;
  const log = openSync(home.gateLog, "a", 0o600);
  fchmodSync(log, 0o600);
  return log;
}
