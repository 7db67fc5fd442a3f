import type { GatewayReport } from "../../model/index.ts";
import type { PlanInput, Refusal } from "./plan-input.ts";
import { Room } from "./rooms.ts";
import { surveyGateways, type Listing, type Survey, type View } from "./survey.ts";
import { gatewayKey } from "./unit.ts";

/** What the configured Gateways have room for, in their order. */
export function reportCapacity(input: Omit<PlanInput, "units">): readonly GatewayReport[] {
  const { settings, observed } = input;
  const { views } = surveyGateways(observed, settings);
  return settings.gateways.map((ref) => {
    const key = gatewayKey(ref);
    const view = views.find((one) => one.key === key);
    const controller = observed.controllers.get(key) ?? null;
    const base = { gateway: key, address: ref.address, controller };
    if (view === undefined || view.gateway === null) {
      return {
        ...base,
        ...NOTHING,
        state: view === undefined ? "unknown" : "missing",
        ports: { ...settings.ports, own: 0, others: 0 },
      };
    }
    return { ...base, ...reportOf(view, input), state: isRefused(view) ? "refused" : "ready" };
  });
}

const NOTHING = {
  listeners: { own: 0, others: 0, most: 0 },
  listenerSets: null,
  whyNoListenerSets: null,
  room: 0,
  bound: "listeners",
} as const;

type Figures = Pick<GatewayReport, "listeners" | "listenerSets" | "whyNoListenerSets" | "ports" | "room" | "bound">;

function reportOf(view: View, input: Omit<PlanInput, "units">): Figures {
  const { settings, observed } = input;
  const { from, to } = settings.ports;
  const room = new Room(view, NO_LISTINGS, input).left();
  const inRange = [...view.holders.values()].filter(({ listener }) => listener.port >= from && listener.port <= to);
  const inSets = view.listings.filter(({ host }) => host.set !== null);
  const sets = view.hosts.filter(({ set }) => set !== null).length;
  return {
    listeners: {
      ...ownAndOthers(view.listings.filter(({ host }) => host.set === null)),
      most: observed.served.gatewayListeners.most,
    },
    listenerSets: view.whyNoSets === null ? { sets, ...ownAndOthers(inSets) } : null,
    whyNoListenerSets: view.whyNoSets,
    ports: { from, to, ...ownAndOthers(inRange) },
    room: Math.min(room.listeners, room.ports),
    bound: boundOf(view, room, { free: to - from + 1 - inRange.length, settings }),
  };
}

const NO_LISTINGS: ReadonlySet<Listing> = new Set();

function boundOf(
  view: View,
  room: ReturnType<Room["left"]>,
  { free, settings }: { readonly free: number; readonly settings: PlanInput["settings"] },
): GatewayReport["bound"] {
  if (room.listeners < room.ports) return settings.listenerSets === "only" ? "listenerSets" : "listeners";
  return room.ports < free && view.rules.portsText !== null ? "controller" : "ports";
}

function ownAndOthers(listings: readonly Listing[]): { readonly own: number; readonly others: number } {
  const own = listings.filter(({ unit }) => unit !== null).length;
  return { own, others: listings.length - own };
}

function isRefused({ gateway }: View): boolean {
  return gateway?.status?.conditions?.some(({ type, status }) => type === "Accepted" && status === "False") === true;
}

/** Why there is no port for one more unit. `rooms`: what is left of each Gateway that is there. */
export function refusalOf(
  { settings, observed }: PlanInput,
  { views }: Survey,
  rooms: ReadonlyMap<View, Room>,
): Refusal {
  const configured = views.filter(({ ref }) => ref !== null);
  const text = configured.map((view) => {
    const left = rooms.get(view)?.left();
    if (left === undefined) return `Gateway ${view.key} is not there`;
    const { from, to } = settings.ports;
    const limits = view.rules.portsText === null ? "" : ` (${view.rules.portsText})`;
    if (left.ports === 0) return `of Gateway ${view.key} no port of ${String(from)}-${String(to)} is free${limits}`;
    const why = `ListenerSets are no way out: ${view.whyNoSets ?? ""}`;
    if (settings.listenerSets === "only")
      return `Gateway ${view.key} may be reached by ListenerSets alone, but ${view.whyNoSets ?? ""}`;
    const { others } = ownAndOthers(view.listings.filter(({ host }) => host.set === null));
    const most = String(observed.served.gatewayListeners.most);
    return `Gateway ${view.key} has all ${most} listeners that it may have, ${String(others)} of them somebody else's, and ${why}`;
  });
  if (rooms.size === 0) {
    return { code: "gateway_missing", message: `${sentence(text)}. Make it, or name another one in the config.` };
  }
  const remedy =
    "Stop what is not needed, let ListenerSets attach, widen the range of ports, or name one more Gateway in the config.";
  return { code: "gateway_full", message: `There is no room for one more port: ${text.join("; ")}. ${remedy}` };
}

function sentence(parts: readonly string[]): string {
  const text = parts.join("; ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
