import { text } from "node:stream/consumers";
import { hashPassword } from "../../platform/password-hash.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { note, print, type Terminal } from "../terminal.ts";

const LEAST = 8;

/** Prints the line of a password file. The password comes from standard input, where nobody sees it and no list of processes shows it. */
export async function password(terminal: Terminal, [user = ""]: readonly string[]): Promise<ExitCode> {
  if (!/^[^\p{C}\p{Z}:]{1,256}$/u.test(user)) {
    throw new CommandFailure(EXIT.usage, `"${user}" is no user's name`, { remedy: "visible characters without :" });
  }
  const given = await readSecret(terminal, `Password of ${user}: `);
  if (given.length < LEAST) {
    throw new CommandFailure(EXIT.usage, `the password is too short`, {
      remedy: `use ${String(LEAST)} characters at least`,
    });
  }
  print(terminal, `${user}:${await hashPassword(given)}`);
  return EXIT.ok;
}

async function readSecret(terminal: Terminal, question: string): Promise<string> {
  const { stdin } = terminal;
  if (!isTerminal(stdin)) return (await text(stdin)).replace(/\r?\n$/, "");
  terminal.stderr.write(question);
  stdin.setRawMode(true);
  try {
    return await readKeys(stdin);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    note(terminal, "");
  }
}

type TerminalInput = Terminal["stdin"] & { setRawMode(raw: boolean): unknown };

function isTerminal(stdin: Terminal["stdin"]): stdin is TerminalInput {
  return "isTTY" in stdin && stdin.isTTY === true;
}

/** Until Enter; Ctrl-C and Ctrl-D give up, since a raw terminal makes no signals of them. */
async function readKeys(stdin: TerminalInput): Promise<string> {
  const typed: string[] = [];
  for await (const chunk of stdin) {
    for (const key of String(chunk)) {
      if (key === "\r" || key === "\n") return typed.join("");
      if (key === "\u0003" || key === "\u0004") throw new CommandFailure(EXIT.failure, "no password was given");
      if (key === "\u007f" || key === "\b") typed.pop();
      else typed.push(key);
    }
  }
  return typed.join("");
}
