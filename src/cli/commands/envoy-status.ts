import type { EnvoyView } from "../../api/wire-envoys.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { connect } from "../session.ts";
import { formatAge, formatColumns } from "../task-table.ts";
import { type Colors, colorsFor, print, printable, printJson, type Terminal } from "../terminal.ts";

const TITLES = ["FLEET", "ENVOY", "VERSION", "FROM", "STATE", "REVISION", "REFUSED", "STREAMS", "SEEN"];

/** Every Envoy that the gate knows, and whether it has what it should. */
export async function envoyStatus(
  terminal: Terminal,
  _words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const { revision, envoys } = await connect(terminal).envoys(terminal.signal);
  if (options.json === true) {
    printJson(terminal, { revision, envoys });
    return EXIT.ok;
  }
  const colors = colorsFor(terminal, "stdout");
  const now = Date.now();
  const rows = envoys.map((envoy) => [
    ...[printable(envoy.fleet), printable(envoy.id), orDash(printable(envoy.version)), envoy.address ?? "-"],
    ...[stateOf(envoy, now, colors), revisionOf(envoy, colors)],
    ...[envoy.refused === 0 ? "-" : colors.red(String(envoy.refused)), String(envoy.streams)],
    envoy.heardAt === null ? "never" : `${formatAge(now - envoy.heardAt)} ago`,
  ]);
  print(terminal, formatColumns([TITLES.map((title) => colors.bold(title)), ...rows]));
  return EXIT.ok;
}

function stateOf({ since, stuckSince }: EnvoyView, now: number, colors: Colors): string {
  if (since === null) return colors.red("away");
  if (stuckSince !== null) return colors.red(`stuck for ${formatAge(now - stuckSince)}`);
  return `${colors.green("connected")} for ${formatAge(now - since)}`;
}

function revisionOf({ applied, behind }: EnvoyView, colors: Colors): string {
  if (behind === null) return colors.dim("not all yet");
  return behind === 0 ? String(applied) : `${String(applied)}, ${String(behind)} behind`;
}

function orDash(text: string): string {
  return text === "" ? "-" : text;
}
