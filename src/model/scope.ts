import { GatewayError } from "./errors.ts";

/** What a credential can be limited to: use services; look at tasks; start, stop and remove them (which is to look at them, too). */
export const SCOPE_ACTIONS = Object.freeze(["connect", "read", "manage"] as const);
export type ScopeAction = (typeof SCOPE_ACTIONS)[number];

/** The part of what somebody may do that one credential of theirs stands for. It takes away, and never gives. */
export interface Scope {
  readonly actions: readonly ScopeAction[];
  /** Patterns of services, as `isServicePattern` takes them; absent: all. */
  readonly services?: readonly string[];
}

/** Most patterns of one scope: it goes along with every request that is decided in another process. */
export const MAX_SCOPE_SERVICES = 32;

const PART = "[A-Za-z0-9*._~-]{1,100}";
const PATTERN = new RegExp(`^${PART}(?:/${PART}){0,2}$`);

/** Whether `text` is `TASK`, `TASK/SERVICE` or `PROVIDER/TASK/SERVICE`, where `*` stands for any characters of one part. */
export function isServicePattern(text: string): boolean {
  return PATTERN.test(text);
}

/** Whether the scope takes in `action` on `service` (`provider/task/service`). No scope takes in everything. */
export function inScope(scope: Scope | undefined, action: ScopeAction, service: string): boolean {
  if (scope === undefined) return true;
  return hasAction(scope, action) && (scope.services?.some((pattern) => matchesService(pattern, service)) ?? true);
}

/** The same for a task as a whole (`provider/task`): any of its services being in scope is enough to see it, all must be to act on it. */
export function taskInScope(scope: Scope | undefined, action: "read" | "manage", task: string): boolean {
  if (scope === undefined) return true;
  if (!hasAction(scope, action)) return false;
  return scope.services?.some((pattern) => matchesTask(pattern, task, action)) ?? true;
}

/** Throws `denied` unless the scope takes in `action` on everything there is. */
export function needWholeScope(scope: Scope | undefined, action: ScopeAction): void {
  if (scope === undefined || (hasAction(scope, action) && scope.services === undefined)) return;
  throw new GatewayError("denied", `this token's scope does not take that in: it needs ${action}, for all services`);
}

function hasAction({ actions }: Scope, action: ScopeAction): boolean {
  return actions.includes(action) || (action === "read" && actions.includes("manage"));
}

function matchesService(pattern: string, service: string): boolean {
  const [provider, task, name] = partsOf(pattern);
  const [ofProvider = "", ofTask = "", ofName = ""] = service.split("/");
  return matches(provider, ofProvider) && matches(task, ofTask) && matches(name, ofName);
}

function matchesTask(pattern: string, key: string, action: "read" | "manage"): boolean {
  const [provider, task, name] = partsOf(pattern);
  const [ofProvider = "", ofTask = ""] = key.split("/");
  return matches(provider, ofProvider) && matches(task, ofTask) && (action === "read" || /^\*+$/.test(name));
}

function partsOf(pattern: string): readonly [provider: string, task: string, service: string] {
  const [first = "", second = "*", third] = pattern.split("/");
  return third === undefined ? ["*", first, second] : [first, second, third];
}

/** Linear in both, whatever the pattern: the pieces between stars are looked for one after another, and none twice. */
function matches(pattern: string, text: string): boolean {
  const pieces = pattern.split("*");
  const [first = ""] = pieces;
  const last = pieces.at(-1) ?? "";
  if (pieces.length === 1) return pattern === text;
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  const middle = text.slice(first.length, text.length - last.length);
  let at = 0;
  for (const piece of pieces.slice(1, -1)) {
    const found = middle.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return true;
}
