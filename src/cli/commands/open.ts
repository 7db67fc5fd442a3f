import { parseTarget } from "../arguments.ts";
import { findOpener, openInBrowser } from "../browser.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import type { ApiClient } from "../api-client.ts";
import { isElsewhere } from "../remote-gates.ts";
import { connect, findTask, pickService } from "../session.ts";
import { homeOf, note, print, printJson, type Terminal } from "../terminal.ts";

export interface OpenOptions {
  readonly print?: boolean;
  readonly json?: boolean;
}

export async function open(terminal: Terminal, words: readonly string[], options: OpenOptions): Promise<ExitCode> {
  const client = connect(terminal);
  const url = words[0] === undefined ? client.gate.url : await findPage(client, words[0], terminal.signal);
  // A login link is of who runs the gate. At a gate elsewhere people log in by a way of their own.
  const link = isElsewhere(client.gate)
    ? { url, expiresAt: null }
    : await client.link(words[0] === undefined ? undefined : url, terminal.signal);
  if (options.json === true) {
    printJson(terminal, { ...link, target: url });
    return EXIT.ok;
  }
  const opener = options.print === true ? null : findOpener(terminal.environment);
  if (opener !== null && (await openInBrowser(opener, link.url, homeOf(terminal)))) {
    note(terminal, `Opened ${url}`);
    return EXIT.ok;
  }
  if (options.print !== true) {
    note(terminal, opener === null ? "No browser to open here." : `${opener} could not open it.`);
    if (link.expiresAt !== null) note(terminal, "This link logs a browser in, once:");
  }
  print(terminal, link.url);
  return EXIT.ok;
}

async function findPage(client: ApiClient, word: string, signal: AbortSignal): Promise<string> {
  const target = parseTarget(word);
  const task = await findTask(client, target.task, signal);
  const isPage = (service: { readonly protocol: string; readonly url: string | null }): boolean =>
    service.protocol === "http" && service.url !== null;
  const service = await pickService(task, target, { what: "that a browser can open", test: isPage });
  if (service.url === null || !isPage(service)) {
    throw new CommandFailure(
      EXIT.failure,
      `${task.name}/${service.name} speaks ${service.protocol}: no browser can open it`,
      {
        remedy: service.forward === null ? "taskgate ps" : `taskgate forward ${task.name}/${service.name}`,
      },
    );
  }
  return service.url;
}
