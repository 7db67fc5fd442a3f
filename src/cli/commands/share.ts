import type { AccessView, GrantCreated, GrantView } from "../../api/wire-access.ts";
import type { ApiClient } from "../api-client.ts";
import { forEachName } from "../each-task.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { connect, namingTask } from "../session.ts";
import { formatColumns } from "../task-table.ts";
import { colorsFor, note, print, printable, printJson, type Terminal } from "../terminal.ts";

/** Whom something is given to, or taken from. */
export interface Recipients {
  readonly with?: readonly string[];
  readonly authenticated?: boolean;
  readonly public?: boolean;
  readonly service?: string;
  readonly json?: boolean;
}

export interface ShareOptions extends Recipients {
  readonly link?: boolean;
  /** Ms. */
  readonly for?: number;
  readonly history?: boolean;
}

/** Gives; with nobody to give to, lists what is given. */
export async function share(terminal: Terminal, words: readonly string[], options: ShareOptions): Promise<ExitCode> {
  const [task = ""] = words;
  const client = connect(terminal);
  const recipients = recipientsOf(options);
  if (options.history === true) return history(terminal, client, task, options);
  if (recipients.length > 0) return give(terminal, client, task, { ...options, recipients });
  if (options.for !== undefined) {
    throw new CommandFailure(EXIT.usage, "--for says until when, and nobody is named", {
      remedy: `taskgate share ${task} --with NAME --for 8h, or --link, --authenticated, --public`,
    });
  }
  return list(terminal, client, task, options);
}

/** As the API spells them. */
export function recipientsOf(options: Recipients & { readonly link?: boolean }): readonly string[] {
  return [
    ...(options.with ?? []).map((who) => (isWord(who) ? `user:${who}` : who)),
    ...(options.link === true ? ["link"] : []),
    ...(options.authenticated === true ? ["authenticated"] : []),
    ...(options.public === true ? ["public"] : []),
  ];
}

/** A user who is called like a word of the API's. */
function isWord(who: string): boolean {
  return ["link", "authenticated", "public"].includes(who);
}

async function give(
  terminal: Terminal,
  client: ApiClient,
  task: string,
  options: ShareOptions & { readonly recipients: readonly string[] },
): Promise<ExitCode> {
  const created: GrantCreated[] = [];
  const exitCode = await forEachName(terminal, options.recipients, async (to) => {
    const request = {
      to,
      ...(options.for === undefined ? {} : { lifetimeMs: options.for }),
      ...(options.service === undefined ? {} : { service: options.service }),
    };
    const grant = await namingTask(client, task, terminal.signal, () => client.share(task, request, terminal.signal));
    created.push(grant);
    if (options.json !== true) sayGiven(terminal, task, grant);
  });
  if (options.json === true) printJson(terminal, created);
  return exitCode;
}

/** A link alone is on standard output, so that `$(taskgate share nb --link)` is it. */
function sayGiven(terminal: Terminal, task: string, grant: GrantCreated): void {
  const what = grant.service === null ? task : `${task}/${grant.service}`;
  const back = `Take it back: taskgate unshare ${task} ${grant.id ?? ""}`;
  if (grant.link !== null) {
    print(terminal, grant.link);
    note(terminal, `Whoever has this link may use ${what} ${untilText(grant)}. It is shown this once. ${back}`);
    return;
  }
  print(terminal, `${printable(grant.to)} may use ${what} ${untilText(grant)}`);
  note(terminal, back);
}

async function list(terminal: Terminal, client: ApiClient, task: string, options: ShareOptions): Promise<ExitCode> {
  const access = await namingTask(client, task, terminal.signal, () =>
    client.access(task, options.service, terminal.signal),
  );
  if (options.json === true) printJson(terminal, access);
  else print(terminal, formatAccess(terminal, task, access));
  return EXIT.ok;
}

function formatAccess(terminal: Terminal, task: string, access: AccessView): string {
  const open = access.services
    .filter(({ anyone }) => anyone !== "nobody")
    .map(({ name, anyone }) => `${name} is open to ${anyone === "public" ? "everybody" : "everybody who logged in"}.`);
  if (access.grants.length === 0) {
    const none = `${task} is shared with nobody. Share it: taskgate share ${task} --with NAME`;
    return [...(open.length === 0 ? [none] : open)].join("\n");
  }
  const colors = colorsFor(terminal, "stdout");
  const head = ["GRANT", "WITH", "SERVICE", "UNTIL", "BY"].map((title) => colors.bold(title));
  const rows = access.grants.map((grant) => [
    grant.id ?? `(${grant.source})`,
    `${printable(grant.to)}${grant.effective ? "" : colors.red(" (not allowed any more)")}`,
    printable(grant.service ?? "all"),
    grant.until === null ? "taken back" : new Date(grant.until).toISOString(),
    printable(grant.by),
  ]);
  return [formatColumns([head, ...rows]), ...open].join("\n");
}

async function history(terminal: Terminal, client: ApiClient, task: string, options: ShareOptions): Promise<ExitCode> {
  const { changes } = await namingTask(client, task, terminal.signal, () =>
    client.accessHistory(task, terminal.signal),
  );
  if (options.json === true) {
    printJson(terminal, changes);
    return EXIT.ok;
  }
  const rows = changes.map(({ at, by, did, grant }) => [
    ...[new Date(at).toISOString(), printable(by), did, printable(grant.to), printable(grant.service ?? "all")],
    ...[did === "took" ? "" : untilText(grant), grant.id],
  ]);
  print(terminal, rows.length === 0 ? `Nobody changed who may use ${task}.` : formatColumns(rows));
  return EXIT.ok;
}

function untilText({ until }: Pick<GrantView, "until">): string {
  return until === null ? "until it is taken back" : `until ${new Date(until).toISOString()}`;
}
