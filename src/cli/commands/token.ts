import type { TokenRequest, TokenView } from "../../api/wire-tokens.ts";
import type { ScopeAction } from "../../model/index.ts";
import { forEachName } from "../each-task.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { connect } from "../session.ts";
import { formatAge, formatColumns } from "../task-table.ts";
import { colorsFor, note, print, printable, printJson, type Terminal } from "../terminal.ts";

export interface CreateTokenOptions {
  /** Ms. */
  readonly for?: number;
  readonly scope?: readonly ScopeAction[];
  /** Patterns. */
  readonly service?: readonly string[];
  readonly account?: string;
  readonly json?: boolean;
}

/** The token alone is on standard output, so that `$(taskgate token create)` is it. */
export async function createToken(
  terminal: Terminal,
  [name = "command line"]: readonly string[],
  options: CreateTokenOptions,
): Promise<ExitCode> {
  const created = await connect(terminal).createToken({ name, ...wishOf(options) }, terminal.signal);
  if (options.json === true) {
    printJson(terminal, created);
    return EXIT.ok;
  }
  print(terminal, created.token);
  const until =
    created.expiresAt === null ? "until it is revoked" : `until ${new Date(created.expiresAt).toISOString()}`;
  note(
    terminal,
    `Good ${until}, for ${scopeText(created)}, and shown this once. Revoke it: taskgate token revoke ${created.id}`,
  );
  return EXIT.ok;
}

function wishOf({ for: lifetimeMs, scope, service, account }: CreateTokenOptions): Omit<TokenRequest, "name"> {
  const limited = scope !== undefined || service !== undefined;
  const actions: readonly ScopeAction[] = scope ?? ["connect"];
  return {
    ...(lifetimeMs === undefined ? {} : { lifetimeMs }),
    ...(account === undefined ? {} : { account }),
    ...(limited
      ? { scope: { actions: [...actions], ...(service === undefined ? {} : { services: [...service] }) } }
      : {}),
  };
}

/** What it may do. */
function scopeText({ scope, owner }: TokenView): string {
  if (scope === null) return `all that ${printable(owner)} may do`;
  return `${scope.actions.join(",")} ${scope.services === undefined ? "of everything" : `of ${scope.services.join(" ")}`}`;
}

export async function listTokens(
  terminal: Terminal,
  _words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const tokens = await connect(terminal).tokens(terminal.signal);
  if (options.json === true) {
    printJson(terminal, tokens);
    return EXIT.ok;
  }
  const colors = colorsFor(terminal, "stdout");
  const head = ["ID", "NAME", "KIND", "OWNER", "SCOPE", "AGE", "USED", "EXPIRES"].map((title) => colors.bold(title));
  const rows = tokens.map((token) => rowOf(token, Date.now()));
  print(terminal, rows.length === 0 ? "No tokens." : formatColumns([head, ...rows]));
  return EXIT.ok;
}

/** A token made for eight hours a moment ago expires in 8h, and not in 7h. */
const ROUND_MS = 30_000;

function rowOf(token: TokenView, now: number): string[] {
  const expires = token.expiresAt === null ? "never" : `in ${formatAge(token.expiresAt - now + ROUND_MS)}`;
  return [
    token.id,
    printable(token.name),
    token.kind,
    printable(token.owner),
    token.scope === null ? "-" : printable(scopeText(token)),
    formatAge(now - token.createdAt),
    token.lastUsedAt === null ? "never" : formatAge(now - token.lastUsedAt),
    expires,
  ];
}

export async function revokeTokens(
  terminal: Terminal,
  words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const client = connect(terminal);
  const tokens = await client.tokens(terminal.signal);
  const revoked: string[] = [];
  const exitCode = await forEachName(terminal, words, async (word) => {
    const { id, name } = meantToken(tokens, word);
    await client.revokeToken(id, terminal.signal);
    revoked.push(id);
    if (options.json !== true) print(terminal, `${id} (${printable(name)}) is revoked`);
  });
  if (options.json === true) printJson(terminal, { revoked });
  return exitCode;
}

function meantToken(tokens: readonly TokenView[], word: string): TokenView {
  const byId = tokens.find((token) => token.id === word);
  if (byId !== undefined) return byId;
  const [byName, second] = tokens.filter((token) => token.name === word);
  if (byName === undefined) {
    throw new CommandFailure(EXIT.notFound, `no token has the id or the name ${word}`, {
      remedy: "taskgate token list",
    });
  }
  if (second !== undefined) {
    throw new CommandFailure(EXIT.failure, `several tokens are named ${word}`, {
      remedy: "revoke by id: taskgate token list",
    });
  }
  return byName;
}
