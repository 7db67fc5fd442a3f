import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { GatewayError } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { ProcessLink } from "../../../platform/process-link.ts";
import { ACCEPT, type Verdict } from "./messages.ts";

export interface AcceptorDeps {
  /** Runs `runAcceptor`. */
  readonly entry: URL;
  readonly keytab: string;
  /** Longest wait for a verdict. */
  readonly patienceMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Running {
  readonly child: ChildProcess;
  readonly link: ProcessLink;
  /** Epoch ms. */
  readonly startedAt: number;
  answered: boolean;
}

/** It comes up in a fraction of a second; a machine that swaps may need more. */
const START_MS = 30_000;

/**
 * The process that judges tickets. It is started when the first one comes, and again when it ended or did not answer in time. Disposing it
 * ends it.
 */
export class AcceptorProcess implements Disposable {
  readonly #deps: AcceptorDeps;
  #running: Running | null = null;

  constructor(deps: AcceptorDeps) {
    this.#deps = deps;
  }

  /** Its process id, while it runs. */
  get pid(): number | undefined {
    return this.#running?.child.pid;
  }

  /** Throws `unavailable` where it does not answer in time or ended, and the signal's reason. */
  async accept(service: string, ticket: string, signal: AbortSignal): Promise<Verdict> {
    const running = (this.#running ??= this.#start());
    const { clock, patienceMs } = this.#deps;
    const late = Promise.withResolvers<never>();
    const timer = clock.after(patienceMs, () => {
      const hangs = running.answered || clock.now() >= running.startedAt + START_MS;
      if (hangs && this.#running === running) this.#end("it did not answer in time");
      late.reject(new GatewayError("unavailable", "Kerberos tickets are not judged in time"));
    });
    try {
      const verdict = await Promise.race([running.link.ask(ACCEPT, { service, ticket }, signal), late.promise]);
      running.answered = true;
      return verdict;
    } finally {
      timer[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    if (this.#running !== null) this.#end(null);
  }

  #start(): Running {
    const { entry, keytab, clock, logger } = this.#deps;
    // What the C library says is looked at, so it has to be in the one language.
    const env = { ...process.env, KRB5_KTNAME: `FILE:${keytab}`, LC_ALL: "C" };
    const child = fork(fileURLToPath(entry), [], { env, stdio: ["ignore", "ignore", "inherit", "ipc"] });
    const link = new ProcessLink(
      {
        send(message) {
          // One that is gone hears nothing, and is noticed by "exit".
          if (child.connected) child.send(message as object, () => undefined);
        },
        receive: (take) => void child.on("message", take),
      },
      clock,
    );
    const running: Running = { child, link, startedAt: clock.now(), answered: false };
    const gone = (how: object): void => {
      link[Symbol.dispose]();
      if (this.#running !== running) return;
      this.#running = null;
      logger.warn(how, "the process that judges Kerberos tickets ended");
    };
    child.once("error", (err) => gone({ err }));
    child.once("exit", (code, signal) => gone({ code, signal }));
    child.unref();
    child.channel?.unref();
    return running;
  }

  #end(why: string | null): void {
    const running = this.#running;
    this.#running = null;
    running?.link[Symbol.dispose]();
    running?.child.kill("SIGKILL");
    if (why !== null) this.#deps.logger.warn({ why }, "ended the process that judges Kerberos tickets");
  }
}
