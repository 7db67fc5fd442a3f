import type { Command } from "commander";
import { findCandidates } from "../candidates.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { connect } from "../session.ts";
import { print, type Terminal } from "../terminal.ts";

/** Somebody waits for it with a finger on the Tab key. */
const ANSWER_MS = 2000;

/** What a shell may be given: it goes into command lines. */
const HARMLESS = /^[\w./:=@-]+$/;

export interface CompleteOptions {
  /** The shell broke words at "=" and ":", as bash does, and wants only what comes after the last of them. */
  readonly split?: boolean;
}

/** One candidate a line. Never fails, and says nothing: where there is nothing to offer, there is nothing. */
export async function complete(
  terminal: Terminal,
  tree: Command,
  words: readonly string[],
  options: CompleteOptions,
): Promise<ExitCode> {
  const joined = options.split === true ? joinBroken(words) : words;
  const current = joined.at(-1) ?? "";
  const candidates = await candidatesFor(terminal, tree, joined);
  const given = options.split === true ? (/^.*[=:]/.exec(current)?.[0].length ?? 0) : 0;
  for (const candidate of candidates) {
    if (candidate.startsWith(current) && HARMLESS.test(candidate)) print(terminal, candidate.slice(given));
  }
  return EXIT.ok;
}

/** `--restart`, `=`, `on` → `--restart=on`. */
function joinBroken(words: readonly string[]): string[] {
  const joined: string[] = [];
  let glue = false;
  for (const word of words) {
    const breaks = word === "=" || word === ":";
    if ((breaks || glue) && joined.length > 0) joined.push(`${joined.pop() ?? ""}${word}`);
    else joined.push(word);
    glue = breaks;
  }
  return joined;
}

async function candidatesFor(terminal: Terminal, tree: Command, words: readonly string[]): Promise<readonly string[]> {
  const found = findCandidates(tree, words);
  if (found.kind === "none") return [];
  if (found.kind === "words") return found.words;
  try {
    const signal = AbortSignal.any([terminal.signal, AbortSignal.timeout(ANSWER_MS)]);
    const { tasks } = await connect(terminal).tasks(signal);
    const current = words.at(-1) ?? "";
    return tasks.flatMap((task) => [
      task.name,
      ...(found.kind === "services" && current.includes("/")
        ? task.services.map((service) => `${task.name}/${service.name}`)
        : []),
    ]);
  } catch {
    return []; // no gate, or no login: there are no names to offer, and no place to say why
  }
}
