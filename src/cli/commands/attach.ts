import type { AttachRequest } from "../../api/wire.ts";
import { ACCESS, parsePort } from "../arguments.ts";
import { ensureGate } from "../background-gate.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { startProgress } from "../progress.ts";
import { connectHere } from "../session.ts";
import { colorsFor, homeOf, print, printJson, type Terminal } from "../terminal.ts";
import { waitForTask } from "../wait-for-task.ts";
import { describeWaysIn } from "../ways-in.ts";

/** A port that is slow to say what it is gets this long; after that it is shown as it stands. */
const LOOK_MS = 15_000;

export interface AttachOptions {
  readonly name?: string;
  readonly kind?: string;
  readonly protocol?: NonNullable<AttachRequest["protocol"]>;
  readonly access: keyof typeof ACCESS;
  readonly path?: string;
  readonly json?: boolean;
}

export async function attach(terminal: Terminal, words: readonly string[], options: AttachOptions): Promise<ExitCode> {
  const { name, kind, protocol, path } = options;
  const port = parsePort(words[0] ?? "", "PORT");
  await ensureGate(terminal);
  const client = connectHere(terminal);
  using progress = startProgress(terminal, `Looking at port ${port}`);
  const accepted = await client.attach(
    {
      port,
      anyone: ACCESS[options.access],
      ...(name === undefined ? {} : { name }),
      ...(kind === undefined ? {} : { kind }),
      ...(protocol === undefined ? {} : { protocol }),
      ...(path === undefined ? {} : { path }),
    },
    terminal.signal,
  );
  const looking = { id: accepted.id, timeoutMs: LOOK_MS, seen: () => undefined };
  const task = await waitForTask(client, looking, terminal.signal);
  progress[Symbol.dispose]();
  if (options.json === true) printJson(terminal, task);
  if (task.state === "failed") {
    throw new CommandFailure(EXIT.failure, `${task.name} failed: ${task.reason ?? "no reason is known"}`, {
      remedy: `start what should listen on port ${port}, or forget it: taskgate rm ${task.name}`,
    });
  }
  if (options.json === true) return EXIT.ok;
  const deps = { gate: client.gate, home: homeOf(terminal), environment: terminal.environment };
  print(terminal, describeWaysIn(task, { ...deps, colors: colorsFor(terminal, "stdout") }));
  return EXIT.ok;
}
