import type { GrantView } from "../../api/wire-access.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { connect, namingTask } from "../session.ts";
import { print, printable, printJson, type Terminal } from "../terminal.ts";
import { recipientsOf, type Recipients } from "./share.ts";

export interface UnshareOptions extends Recipients {
  /** Every link. */
  readonly links?: boolean;
  readonly all?: boolean;
}

/** Takes back by id, by whom it was given to, or all of it. */
export async function unshare(
  terminal: Terminal,
  words: readonly string[],
  options: UnshareOptions,
): Promise<ExitCode> {
  const [task = "", ...ids] = words;
  const client = connect(terminal);
  const { signal } = terminal;
  const wanted = recipientsOf({ ...options, ...(options.links === true ? { link: true } : {}) });
  if (ids.length + wanted.length === 0 && options.all !== true) {
    throw new CommandFailure(EXIT.usage, "what is to be taken back is not said", {
      remedy: `taskgate unshare ${task} GRANT, or --with NAME, --links, --all; taskgate share ${task} lists what is given`,
    });
  }
  const access = await namingTask(client, task, signal, () => client.access(task, options.service, signal));
  const given = access.grants.filter((grant) => options.service === undefined || grant.service === options.service);
  const meant = [...new Set(options.all === true ? given.filter(isOwners) : meantOf(given, { task, ids, wanted }))];
  for (const grant of meant) {
    await client.removeGrant(task, grant.id ?? "", signal);
    if (options.json !== true) print(terminal, takenText(task, grant));
  }
  if (options.json === true) printJson(terminal, { taken: meant.map(({ id }) => id) });
  else if (meant.length === 0) print(terminal, `Nothing was given of ${task}.`);
  return EXIT.ok;
}

function takenText(task: string, { to, service, id }: GrantView): string {
  const what = service === null ? task : `${task}/${printable(service)}`;
  return `${printable(to)} may use ${what} no more (${id ?? ""})`;
}

function isOwners({ id }: GrantView): boolean {
  return id !== null;
}

function meantOf(
  given: readonly GrantView[],
  { task, ids, wanted }: { readonly task: string; readonly ids: readonly string[]; readonly wanted: readonly string[] },
): readonly GrantView[] {
  const missing = (what: string): CommandFailure =>
    new CommandFailure(EXIT.notFound, what, { remedy: `taskgate share ${task} lists what is given` });
  const byId = ids.map((id) => {
    const found = given.find((grant) => grant.id === id);
    if (found === undefined) throw missing(`nothing of ${task} is given by the id ${id}`);
    return found;
  });
  const byWho = wanted.flatMap((who) => {
    const found = given.filter((grant) => isFor(grant, who));
    if (found.length === 0) throw missing(`nothing of ${task} is given to ${who}`);
    if (!found.some(isOwners))
      throw missing(`what ${who} may use of ${task} is given by its ${found[0]?.source ?? ""}`);
    const realms = new Set(found.map(({ to }) => to));
    if (realms.size > 1) throw missing(`${who} is of several realms: say ${[...realms].join(" or ")}`);
    return found.filter(isOwners);
  });
  return [...byId, ...byWho];
}

/** Whether a grant is to who is called so, with or without the realm. */
function isFor({ to }: GrantView, who: string): boolean {
  const name = who.replace(/^user:/, "");
  if (to === name || who === to) return true;
  if (who === "link" || who === "authenticated" || who === "public") return false;
  const group = name.startsWith("group:");
  const bare = group ? name.slice("group:".length) : name;
  if (bare.includes("/") || to.startsWith("group:") !== group) return false;
  return to.slice(to.indexOf("/") + 1) === bare && to.includes("/");
}
