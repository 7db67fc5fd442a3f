import { existsSync } from "node:fs";
import type { GateFile, Home } from "../config/home.ts";
import type { Secret } from "../platform/secret.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { currentRemote, gateAt, readRemote, type RemoteLogin } from "./remote-gates.ts";
import { givenToken, readToken, requireGate } from "./running-gate.ts";
import type { Environment } from "./terminal.ts";

/** A gate, and the login that is shown to it. */
export interface Connection {
  readonly gate: GateFile;
  readonly token: Secret;
}

/**
 * The gate that a command is for: the one that `--gate` or `TASKGATE_GATE` names; else that of the state folder, where there ever was one;
 * else the one that was logged in to last. Throws `noGate` where none runs, `denied` where there is no login.
 */
export function connectionOf(home: Home, environment: Environment): Connection {
  const remote = remoteOf(home, environment);
  if (remote === null) return { gate: requireGate(home), token: readToken(home, environment) };
  return { gate: remote.gate, token: givenToken(environment) ?? remote.token };
}

/** The login to a gate elsewhere that a command goes by; null: the gate is the state folder's own. */
export function remoteOf(home: Home, environment: Environment): Pick<RemoteLogin, "gate" | "token"> | null {
  const named = environment.TASKGATE_GATE?.trim() ?? "";
  if (named === "") return existsSync(home.database) ? null : currentRemote(home);
  const login = readRemote(home, named);
  if (login !== null) return login;
  const token = givenToken(environment);
  if (token !== null) return { gate: gateAt(named), token };
  throw new CommandFailure(EXIT.denied, `not logged in to ${named}`, { remedy: `taskgate login ${named}` });
}
