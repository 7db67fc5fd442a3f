/** How a reach stands, for people and programs: what there is room for, what is held, and what would be better otherwise. */
export interface ReachReport {
  /** Name of the provider that it is for. */
  readonly provider: string;
  readonly reach: "gateway-api" | "port-forward";
  /** Ports of replicas that are to be reached, and those of them that can be. */
  readonly wanted: number;
  readonly ready: number;
  readonly gateways: readonly GatewayReport[];
  readonly advice: readonly ReachAdvice[];
}

/** One Gateway, as it was last seen. */
export interface GatewayReport {
  /** `NAMESPACE/NAME`. */
  readonly gateway: string;
  /** As configured. */
  readonly address: string;
  readonly state: "ready" | "missing" | "unknown" | "refused";
  /** Of its GatewayClass; null: not known. */
  readonly controller: string | null;
  /** Of the Gateway itself. */
  readonly listeners: { readonly own: number; readonly others: number; readonly most: number };
  /** null: not served, not allowed by the Gateway, or not wanted; `why` says which. */
  readonly listenerSets: { readonly sets: number; readonly own: number; readonly others: number } | null;
  readonly whyNoListenerSets: string | null;
  /** Numbers of the configured range. */
  readonly ports: { readonly from: number; readonly to: number; readonly own: number; readonly others: number };
  /** How many more units fit, and what is to run out first. */
  readonly room: number;
  readonly bound: "listeners" | "listenerSets" | "ports" | "controller";
}

/** Something that is to be looked at, with the remedy; never a secret. */
export interface ReachAdvice {
  readonly level: "ok" | "warn" | "fail";
  /** Stable, for programs: `gateway_plain_text`, `gateway_open_to_all`. */
  readonly code: string;
  readonly message: string;
  readonly remedy: string | null;
}
