import { Duplex } from "node:stream";
import { parseForwards, type ForwardPair } from "../arguments.ts";
import type { ApiClient } from "../api-client.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { startForwarder } from "../forwarder.ts";
import { connect, findTask, pickService } from "../session.ts";
import { resetSocket, splice } from "../splice.ts";
import { aborted, homeOf, note, print, printable, type Terminal } from "../terminal.ts";
import { openTunnel } from "../tunnel.ts";

export interface ForwardOptions {
  readonly stdio?: boolean;
  readonly json?: boolean;
}

export async function forward(
  terminal: Terminal,
  words: readonly string[],
  options: ForwardOptions,
): Promise<ExitCode> {
  const pairs = parseForwards(words);
  const client = connect(terminal);
  if (options.stdio === true) return forwardStdio(terminal, client, pairs);
  await using scope = new AsyncDisposableStack();
  for (const pair of pairs) {
    const named = await findForward(client, pair, terminal.signal);
    const say = (line: string): void => note(terminal, `${named.label}: ${printable(line)}`);
    const forwarder = scope.use(await startForwarder({ ...common(terminal), host: named.host, say }, pair.localPort));
    const local = { target: named.label, address: "127.0.0.1", port: forwarder.port };
    print(terminal, options.json === true ? JSON.stringify(local) : `127.0.0.1:${local.port} → ${local.target}`);
  }
  await aborted(terminal.signal);
  return EXIT.ok;
}

/** One connection over standard input and output; its end is ours. */
async function forwardStdio(terminal: Terminal, client: ApiClient, pairs: readonly ForwardPair[]): Promise<ExitCode> {
  const [pair, second] = pairs;
  if (pair === undefined || second !== undefined || pair.localPort !== 0) {
    throw new CommandFailure(EXIT.usage, "--stdio carries one service and takes no LOCALPORT");
  }
  const { host, label } = await findForward(client, pair, terminal.signal);
  const waiting = (why: string): void => note(terminal, `${label}: ${printable(why)}; waiting for it`);
  const remote = await openTunnel({ ...common(terminal), host, waiting }, terminal.signal);
  const local = Duplex.from({ readable: terminal.stdin, writable: terminal.stdout });
  const broken = new Set<Duplex>();
  await splice(local, remote, (side) => {
    broken.add(side);
    resetSocket(side);
  });
  return broken.has(local) ? EXIT.failure : EXIT.ok;
}

function common(terminal: Terminal): Pick<Parameters<typeof openTunnel>[0], "home" | "environment"> {
  return { home: homeOf(terminal), environment: terminal.environment };
}

async function findForward(
  client: ApiClient,
  pair: ForwardPair,
  signal: AbortSignal,
): Promise<{ readonly host: string; readonly label: string }> {
  const task = await findTask(client, pair.target.task, signal);
  const fits = {
    what: "that can be forwarded",
    test: (service: { forward: string | null }) => service.forward !== null,
  };
  const service = await pickService(task, pair.target, fits);
  if (service.forward === null) {
    throw new CommandFailure(EXIT.failure, `${task.name}/${service.name} cannot be forwarded`, {
      remedy: "taskgate ps",
    });
  }
  return { host: service.forward, label: `${task.name}/${service.name}` };
}
