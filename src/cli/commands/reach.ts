import type { GatewayView, ReachView } from "../../api/wire-reaches.ts";
import { adviceFindings } from "../checks/reach-checks.ts";
import { formatFinding } from "../checks/format-finding.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { connect } from "../session.ts";
import { formatColumns } from "../task-table.ts";
import { type Colors, colorsFor, print, printable, printJson, type Terminal } from "../terminal.ts";

const TITLES = ["PROVIDER", "REACH", "READY", "GATEWAY", "ADDRESS", "STATE", "LISTENERS", "SETS", "PORTS", "ROOM"];

/** Every reach that the gate has, its Gateways, and what is to be looked at. */
export async function reach(
  terminal: Terminal,
  _words: readonly string[],
  options: { readonly json?: boolean },
): Promise<ExitCode> {
  const reaches = await connect(terminal).reaches(terminal.signal);
  if (options.json === true) {
    printJson(terminal, { reaches });
    return EXIT.ok;
  }
  const colors = colorsFor(terminal, "stdout");
  if (reaches.length === 0) print(terminal, "every provider's tasks are dialled as they are");
  else print(terminal, formatColumns([TITLES.map((title) => colors.bold(title)), ...reaches.flatMap((each) => rows(each, colors))])); // prettier-ignore
  for (const finding of reaches.flatMap(adviceFindings)) print(terminal, formatFinding(finding, colors));
  return EXIT.ok;
}

function rows(view: ReachView, colors: Colors): readonly (readonly string[])[] {
  const ready = `${String(view.ready)}/${String(view.wanted)}`;
  const first = [printable(view.provider), view.reach, view.ready < view.wanted ? colors.yellow(ready) : ready];
  if (view.gateways.length === 0) return [[...first, ...TITLES.slice(first.length).map(() => "-")]];
  return view.gateways.map((gateway, at) => [
    ...(at === 0 ? first : first.map(() => "")),
    ...gatewayCells(gateway, colors),
  ]);
}

function gatewayCells(gateway: GatewayView, colors: Colors): readonly string[] {
  const { listeners, listenerSets, ports, room, bound, state } = gateway;
  return [
    printable(gateway.gateway),
    printable(gateway.address),
    state === "ready" ? colors.green(state) : colors.red(state),
    `${String(listeners.own)}+${String(listeners.others)} of ${String(listeners.most)}`,
    listenerSets === null
      ? "-"
      : `${String(listenerSets.own)}+${String(listenerSets.others)} in ${String(listenerSets.sets)}`,
    `${String(ports.own)}+${String(ports.others)} of ${String(ports.to - ports.from + 1)}`,
    room === 0 ? colors.red("none") : `${String(room)} (${bound})`,
  ];
}
