import { hostname, userInfo } from "node:os";
import { resolve } from "node:path";
import type { DeviceAnswerView, DeviceLoginView } from "../../api/wire-login.ts";
import type { GateFile } from "../../config/home.ts";
import { Secret } from "../../platform/secret.ts";
import { type ApiClient, createApiClient } from "../api-client.ts";
import { CommandFailure, EXIT, type ExitCode } from "../failure.ts";
import { pause } from "../pause.ts";
import { currentRemote, gateAt, keepRemote, type RemoteLogin } from "../remote-gates.ts";
import { homeOf, note, print, printable, type Terminal } from "../terminal.ts";

export interface LoginOptions {
  /** File with the authority that the gate's certificate is of. */
  readonly ca?: string;
  readonly json?: boolean;
}

type Approved = Extract<DeviceAnswerView, { readonly state: "approved" }>;

/** Asks the gate for a code, shows it, waits until somebody at a browser lets this command line in, and keeps the login. */
export async function login(terminal: Terminal, words: readonly string[], options: LoginOptions): Promise<ExitCode> {
  const home = homeOf(terminal);
  const address = words[0] ?? terminal.environment.TASKGATE_GATE ?? currentRemote(home)?.gate.url;
  if (address === undefined || address === "") {
    throw new CommandFailure(EXIT.usage, "which gate?", { remedy: "taskgate login https://taskgate.example.com" });
  }
  const gate = gateAt(address, options.ca === undefined ? undefined : resolve(terminal.directory, options.ca));
  const client = createApiClient({ gate, token: null });
  const device = await client.beginDevice(clientName(), terminal.signal);
  tell(terminal, device, options);
  const approved = await waitForAnswer(client, device, terminal.signal);
  const kept = await whole(gate, approved, terminal.signal);
  keepRemote(home, kept);
  const { expiresAt, realm, principal } = kept;
  if (options.json === true) printLine(terminal, { kind: "login", gate: gate.url, realm, principal, expiresAt });
  else print(terminal, `Logged in to ${gate.url} as ${printable(principal)} (${realm})${untilText(expiresAt)}`);
  return EXIT.ok;
}

/** Lines of JSON: the first is there at once. */
function tell(terminal: Terminal, device: DeviceLoginView, options: LoginOptions): void {
  const { userCode, page, pageWithCode, lifetimeS } = device;
  if (options.json === true) {
    printLine(terminal, { kind: "code", userCode, page, pageWithCode, lifetimeS });
    return;
  }
  note(terminal, `Open this page, and log in there:\n\n  ${pageWithCode}\n`);
  note(terminal, `It shows the code ${userCode}. Let this command line in only if it is the same.`);
  note(terminal, `Waiting, for ${String(Math.round(lifetimeS / 60))} minutes at most …`);
}

async function waitForAnswer(client: ApiClient, device: DeviceLoginView, signal: AbortSignal): Promise<Approved> {
  let intervalS = device.intervalS;
  for (;;) {
    await pause(intervalS * 1000, signal);
    const answer = await client.pollDevice(device.deviceCode, signal).catch((error: unknown) => {
      // A gate that restarts is back in a moment, and has not forgotten.
      if (error instanceof CommandFailure && error.exitCode === EXIT.noGate) return null;
      throw error;
    });
    if (answer?.state === "approved") return answer;
    intervalS = answer?.intervalS ?? intervalS;
  }
}

/** With what only somebody who is logged in is told of the gate. */
async function whole(gate: GateFile, approved: Approved, signal: AbortSignal): Promise<RemoteLogin> {
  const token = new Secret(approved.token);
  const { version, domain } = await createApiClient({ gate, token }).version(signal);
  const { id, expiresAt, realm, principal } = approved;
  return { gate: { ...gate, version, domain }, token, id, expiresAt, realm, principal };
}

function clientName(): string {
  return `${userInfo().username}@${hostname()}`.slice(0, 100);
}

function untilText(expiresAt: number | null): string {
  return expiresAt === null ? "" : `, until ${new Date(expiresAt).toISOString()}`;
}

function printLine(terminal: Terminal, value: unknown): void {
  print(terminal, JSON.stringify(value));
}
