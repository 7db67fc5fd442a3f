/** What the process ends with. docs/generated/cli.md lists them; scripts may rely on them. */
export const EXIT = Object.freeze({
  ok: 0,
  /** The operation failed, or what was checked is not well. */
  failure: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** The named task, service or token does not exist. */
  notFound: 3,
  /** No gate runs for this state folder, or it does not answer. */
  noGate: 4,
  /** Not logged in, or not allowed. */
  denied: 5,
  /** Stopped by Ctrl-C before it was done. */
  interrupted: 130,
});

/** One of `EXIT`. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Why a command cannot go on, in words for the person who typed it. `message` names the object; `remedy` is something to do or type. */
export class CommandFailure extends Error {
  override readonly name = "CommandFailure";
  readonly exitCode: ExitCode;
  readonly remedy: string | undefined;

  constructor(exitCode: ExitCode, message: string, options: { remedy?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = exitCode;
    this.remedy = options.remedy;
  }
}
