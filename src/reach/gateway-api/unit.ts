import { objectKey } from "../../platform/kubernetes/objects.ts";

/** One port of one replica of a task: what gets a listener, a Service and a TCPRoute of its own. */
export interface Unit {
  /** Stable over restarts of the gate and of the replica: `TASK/SERVICE/REPLICA`, as it is written on what is made for it. */
  readonly id: string;
  readonly task: string;
  readonly service: string;
  readonly replica: string;
  /** Of the pod; all that is made for it but its listener is there, too. */
  readonly namespace: string;
  /** That the pod listens on, 1 to 65535. */
  readonly port: number;
  /** Name of its Service and TCPRoute, if nobody else has that: a DNS label that begins with a letter. */
  readonly objectName: string;
  readonly backing: Backing;
  /** Only of a task of Determined. */
  readonly determined?: DeterminedMarks;
  /** The Gateway ends TLS for it, so that what the gate sends is not readable on its way there; absent: it passes bytes on as they are. */
  readonly tunnel?: {
    /** Name of a Secret with certificate and key, in the namespace of the Gateway. */
    readonly certificate: string;
  };
}

/** Whom its Service leads to. */
export type Backing =
  /** All pods with these labels: of a task that has but one. */
  | { readonly by: "selector"; readonly selector: Readonly<Record<string, string>> }
  /** One pod, by its address. */
  | { readonly by: "pod"; readonly pod: string; readonly ip: string };

/** What Determined's master writes on all that it makes for an allocation. */
export interface DeterminedMarks {
  readonly allocation: string;
  /** Name of the allocation's Job. */
  readonly job: string;
}

/** A Gateway that is configured, and where it is dialled. */
export interface GatewayRef {
  readonly namespace: string;
  readonly name: string;
  /** IP address or host name, as the gate sees it. */
  readonly address: string;
}

/** The one spelling of which Gateway it is: `NAMESPACE/NAME`, as `objectKey` has it. */
export function gatewayKey(gateway: Pick<GatewayRef, "namespace" | "name">): string {
  return objectKey({ metadata: gateway });
}

/** A port of a Gateway that is one unit's. */
export interface Allotment {
  readonly gateway: GatewayRef;
  readonly port: number;
  /** Name of the ListenerSet whose listener it is; null: the Gateway's own. */
  readonly listenerSet: string | null;
}

/** Name of a listener, as Determined's master names them. */
export function listenerName(port: number): string {
  return `det-${String(port)}`;
}
