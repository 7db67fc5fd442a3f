import { resolve } from "node:path";
import { startInBackground } from "../background-gate.ts";
import { createApiClient } from "../api-client.ts";
import type { GateFile } from "../../config/home.ts";
import { loadGateConfig, type GateOptions } from "../gate-config.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { announceGate, type Announcement } from "../gate-announcement.ts";
import { findGate, readToken } from "../running-gate.ts";
import { homeOf, type Terminal } from "../terminal.ts";

export interface UpOptions extends GateOptions {
  readonly background?: boolean;
  readonly detached?: boolean;
  /** Standard output is a log: it gets no login link. */
  readonly quiet?: boolean;
  readonly json?: boolean;
  /** What people are told to type for this program; default: `taskgate`. */
  readonly command?: string;
}

export async function up(terminal: Terminal, _words: readonly string[], options: UpOptions): Promise<ExitCode> {
  const found = findGate(homeOf(terminal));
  if (found.state === "running") return announce(terminal, found.gate, "already", options);
  const config = loadGateConfig(terminal, options); // what is wrong with it is said here, and not in a log
  if (options.background === true) {
    const gate = await startInBackground(terminal, backgroundWords(terminal, options));
    return announce(terminal, gate, "background", options);
  }
  const home = homeOf(terminal);
  // Out of a folder that would be kept from being unmounted, and that may be removed.
  if (options.detached === true) process.chdir(home.directory);
  const quiet = options.detached === true || options.quiet === true;
  const { runForeground } = await import("../foreground-gate.ts");
  return runForeground(terminal, {
    home,
    config,
    quiet,
    async ready(gate) {
      if (!quiet) {
        const said: Announcement = { gate: gate.file, home, link: await gate.loginLink(), how: "foreground" };
        announceGate(terminal, said, options.json === true);
      }
      return null;
    },
  });
}

async function announce(
  terminal: Terminal,
  gate: GateFile,
  how: Announcement["how"],
  options: UpOptions,
): Promise<ExitCode> {
  const home = homeOf(terminal);
  const client = createApiClient({ gate, token: readToken(home, terminal.environment) });
  const link = await client.link(undefined, terminal.signal);
  const { command, json = false } = options;
  announceGate(terminal, { gate, home, link, how, ...(command === undefined ? {} : { command }) }, json);
  return EXIT.ok;
}

function backgroundWords(terminal: Terminal, options: GateOptions): string[] {
  return [
    ...(options.listen === undefined ? [] : ["--listen", options.listen]),
    ...(options.tls === undefined ? [] : ["--tls", options.tls]),
    ...(options.dataPlane === undefined ? [] : ["--data-plane", options.dataPlane]),
    ...(options.config === undefined ? [] : ["--config", resolve(terminal.directory, options.config)]),
    ...(options.set ?? []).flatMap((pair) => ["--set", pair]),
  ];
}
