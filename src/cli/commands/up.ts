import { resolve } from "node:path";
import { startInBackground } from "../background-gate.ts";
import { createApiClient } from "../api-client.ts";
import type { GateFile } from "../../config/home.ts";
import type { ExitCode } from "../failure.ts";
import { announceGate, type Announcement } from "../gate-announcement.ts";
import { findGate, readToken } from "../running-gate.ts";
import { homeOf, type Terminal } from "../terminal.ts";

export interface GateOptions {
  readonly listen?: string;
  readonly config?: string;
  /** `key=value`. */
  readonly set?: readonly string[];
}

export interface UpOptions extends GateOptions {
  readonly background?: boolean;
  readonly detached?: boolean;
  readonly json?: boolean;
}

export async function up(terminal: Terminal, _words: readonly string[], options: UpOptions): Promise<ExitCode | void> {
  const found = findGate(homeOf(terminal));
  if (found.state === "running") return announce(terminal, found.gate, "already", options);
  if (options.background === true) {
    const { loadGateConfig } = await import("../gate-config.ts");
    await loadGateConfig(terminal, options); // what is wrong with it is said here, not in a log
    const gate = await startInBackground(terminal, backgroundWords(terminal, options));
    return announce(terminal, gate, "background", options);
  }
  const [{ loadGateConfig }, { runForeground }] = await Promise.all([
    import("../gate-config.ts"),
    import("../foreground-gate.ts"),
  ]);
  const home = homeOf(terminal);
  return runForeground(terminal, {
    home,
    quiet: options.detached === true,
    ...(await loadGateConfig(terminal, options)),
    async ready(gate) {
      if (options.detached !== true) {
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
): Promise<void> {
  const home = homeOf(terminal);
  const client = createApiClient({ gate, token: readToken(home, terminal.environment) });
  const link = await client.link(undefined, terminal.signal);
  announceGate(terminal, { gate, home, link, how }, options.json === true);
}

function backgroundWords(terminal: Terminal, options: GateOptions): string[] {
  return [
    ...(options.listen === undefined ? [] : ["--listen", options.listen]),
    ...(options.config === undefined ? [] : ["--config", resolve(terminal.directory, options.config)]),
    ...(options.set ?? []).flatMap((pair) => ["--set", pair]),
  ];
}
