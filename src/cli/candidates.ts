import type { Argument, Command, Option } from "commander";

/** What a word may be, beside what it says itself. */
export type Candidates =
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** Names of tasks, or of tasks and their services. */
  | { readonly kind: "tasks" | "services" }
  /** Something of the shell's own: files, commands. */
  | { readonly kind: "none" };

const NONE: Candidates = { kind: "none" };

/** Where the words before the last one have led to. */
interface Position {
  readonly command: Command;
  /** Arguments of that command so far. */
  readonly operands: number;
  /** An option that waits for its value. */
  readonly pending: Option | undefined;
}

/** What the last of these words may become, by the tree of commands. The words before it are taken as they stand. */
export function findCandidates(tree: Command, words: readonly string[]): Candidates {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? "";
  if (before.includes("--")) return NONE;
  const { command, operands, pending } = before.reduce(stepOver, { command: tree, operands: 0, pending: undefined });
  if (pending !== undefined) return ofOption(pending);
  if (current.startsWith("-")) return optionWords(command, current);
  if (command.commands.length > 0) return { kind: "words", words: visibleCommands(command) };
  return ofArgument(command.registeredArguments, operands);
}

function stepOver(at: Position, word: string): Position {
  if (at.pending !== undefined) return { ...at, pending: undefined }; // this word is its value
  if (word.startsWith("-") && word !== "-") {
    const option = findOption(at.command, word);
    return { ...at, pending: takesValue(option) && !word.includes("=") ? option : undefined };
  }
  const next = at.operands === 0 ? at.command.commands.find((each) => each.name() === word) : undefined;
  return next === undefined ? { ...at, operands: at.operands + 1 } : { ...at, command: next };
}

function findOption(command: Command, word: string): Option | undefined {
  const [name] = word.split("=");
  return command.options.find((option) => option.long === name || option.short === name);
}

function takesValue(option: Option | undefined): boolean {
  return option !== undefined && (option.required || option.optional);
}

function optionWords(command: Command, current: string): Candidates {
  if (current.includes("=")) {
    const option = findOption(command, current);
    const prefix = current.slice(0, current.indexOf("=") + 1);
    return { kind: "words", words: (option?.argChoices ?? []).map((choice) => prefix + choice) };
  }
  const shown = command.options.filter((option) => !option.hidden).map((option) => option.long ?? "");
  return { kind: "words", words: [...shown.filter((name) => name !== ""), "--help"] };
}

function ofOption(option: Option): Candidates {
  return option.argChoices === undefined ? NONE : { kind: "words", words: option.argChoices };
}

function visibleCommands(command: Command): string[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map((each) => each.name());
}

function ofArgument(declared: readonly Argument[], position: number): Candidates {
  const last = declared.at(-1);
  const argument = declared[position] ?? (last?.variadic === true ? last : undefined);
  if (argument === undefined) return NONE;
  if (argument.argChoices !== undefined) return { kind: "words", words: argument.argChoices };
  const name = argument.name().replace(/s$/, "");
  if (name === "task") return { kind: "tasks" };
  return name === "target" ? { kind: "services" } : NONE;
}
