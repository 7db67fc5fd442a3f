import type { ReachAdvice } from "../../model/index.ts";
import type { ControllerRules } from "./controllers.ts";
import type { PlanInput } from "./plan-input.ts";
import { some } from "./preflight.ts";
import { surveyGateways, type View } from "./survey.ts";

/**
 * Where Linux takes the ports of outgoing connections from, unless net.ipv4.ip_local_port_range of the pod says otherwise. A proxy that has a
 * connection of its own at such a port, or had one in the last minute, cannot listen there, while its controller says that it does.
 */
const EPHEMERAL = { from: 32_768, to: 60_999 };

/** Whether a connection of the proxy's own may be in the way of its listening on this port of a Gateway. */
export function isEphemeral(port: number, { boundPort }: ControllerRules): boolean {
  const bound = boundPort(port);
  return bound >= EPHEMERAL.from && bound <= EPHEMERAL.to;
}

/** Where ports are held that its proxies may fail to listen on, or there are no others to be had. */
export function adviseOnPorts({
  settings,
  observed,
}: Pick<PlanInput, "settings" | "observed">): readonly ReachAdvice[] {
  const { views } = surveyGateways(observed, settings);
  return views.flatMap((view) => {
    if (view.ref === null) return [];
    const own = view.listings.filter(({ unit }) => unit !== null);
    const held = own.map(({ listener }) => listener.port).filter((port) => isEphemeral(port, view.rules));
    const hasOthers = safeRanges(settings.ports, view.rules).length > 0;
    if (hasOthers && held.length === 0) return [];
    return [
      adviceFor(view, hasOthers ? `ports ${some(held.map(String))}` : `all ports of ${rangeText(settings.ports)}`),
    ];
  });
}

interface Range {
  readonly from: number;
  readonly to: number;
}

/** `which`: ports, for people. */
function adviceFor({ key, rules }: View, which: string): ReachAdvice {
  const others = safeRanges({ from: 1025, to: 65_535 }, rules).map(rangeText);
  return {
    level: "warn",
    code: "gateway_ephemeral_ports",
    message: `${which} of Gateway ${key} are ones that its proxies' own connections may have (Linux takes theirs from ${rangeText(EPHEMERAL)}): where a proxy has one, it cannot listen, and the service is reached later, at another port`,
    remedy: `let the range of ports have more of ${others.join(" or ")}; or set net.ipv4.ip_local_reserved_ports, or ip_local_port_range, in the pods of the Gateway`,
  };
}

function rangeText({ from, to }: Range): string {
  return `${String(from)}-${String(to)}`;
}

/** Those within the range that no connection is in the way of. */
function safeRanges({ from, to }: Range, rules: ControllerRules): readonly Range[] {
  const found: { from: number; to: number }[] = [];
  for (let port = from; port <= to; port++) {
    if (isEphemeral(port, rules)) continue;
    const last = found.at(-1);
    if (last?.to === port - 1) last.to = port;
    else found.push({ from: port, to: port });
  }
  return found;
}
