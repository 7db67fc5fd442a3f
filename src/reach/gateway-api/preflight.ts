import type { ReachAdvice, Service, Task } from "../../model/index.ts";
import { addressKind } from "../../platform/address-kind.ts";
import type { Gateway } from "../../platform/kubernetes/gateway-objects.ts";
import type { KubernetesService } from "../../platform/kubernetes/objects.ts";
import type { Served } from "./plan-input.ts";
import type { Surroundings } from "./policies/surroundings.ts";
import { gatewayKey, type GatewayRef } from "./unit.ts";

/** A Gateway, and what is known of who can reach it. */
export interface Exposed {
  readonly ref: GatewayRef;
  /** null: not there. */
  readonly gateway: Gateway | null;
  /** Whether the listener of that port is of the gate's making. */
  readonly isOwn: (port: number) => boolean;
  /** null: not read yet. */
  readonly around: Surroundings | null;
}

/** Names in one advice: there may be thousands. */
const NAMES = 10;

/** Annotations by which clouds give a Service an address of the own network alone. */
const INTERNAL: Readonly<Record<string, readonly string[]>> = {
  "service.beta.kubernetes.io/aws-load-balancer-internal": ["true"],
  "service.beta.kubernetes.io/aws-load-balancer-scheme": ["internal"],
  "service.beta.kubernetes.io/azure-load-balancer-internal": ["true"],
  "networking.gke.io/load-balancer-type": ["Internal"],
  "cloud.google.com/load-balancer-type": ["Internal"],
};

/** Who can reach the Gateways' addresses, as far as that can be seen from the cluster, and what is to be closed. */
export function adviseOnReach(gateways: readonly Exposed[]): readonly ReachAdvice[] {
  return [...gateways.flatMap(adviseOnGateway), ...(gateways.length === 0 ? [] : [UNSEEN])];
}

/** What nobody in the cluster can tell. */
const UNSEEN: ReachAdvice = {
  level: "ok",
  code: "gateway_unseen",
  message:
    "firewalls, VPNs and allow lists outside of the cluster cannot be seen from here: only you know whether anybody but the gate gets to the Gateways' addresses. NetworkPolicies count only where the cluster's network plugin enforces them, which cannot be seen either",
  remedy: null,
};

function adviseOnGateway({ ref, gateway, isOwn, around }: Exposed): readonly ReachAdvice[] {
  const key = gatewayKey(ref);
  const advice = [
    adviseOnAddress(ref, key),
    ...(around?.services ?? []).flatMap((service) => adviseOnService(service, key)),
  ];
  if (around?.services === null) {
    const what = around.unread ?? `pods of Gateway ${key}, which were not found`;
    advice.push({
      level: "warn",
      code: "gateway_not_looked_at",
      message: `whether Gateway ${key} is open to others cannot be told without ${what}`,
      remedy: `give the gate the rights get and list for these, or look yourself: kubectl get services --all-namespaces: loadBalancerSourceRanges of what has ${ref.address}`,
    });
  }
  const others = (gateway?.spec?.listeners ?? []).filter(({ port }) => !isOwn(port));
  if (others.length > 0) {
    const names = some(others.map(({ name, port }) => `${name} (${String(port)})`));
    advice.push({
      level: "ok",
      code: "gateway_shared",
      message: `Gateway ${key} has listeners of others: ${names}. Who may attach routes to these, and who may use them, is not the gate's`,
      remedy: null,
    });
  }
  return advice;
}

function adviseOnAddress({ address }: GatewayRef, key: string): ReachAdvice {
  const kind = addressKind(address);
  if (kind === "public") {
    return {
      level: "warn",
      code: "gateway_address_public",
      message: `Gateway ${key} is dialled at ${address}, a public address: whoever gets there talks to tasks without the gate's login`,
      remedy: "let nobody but the gate in: a firewall or allow list at that address, or a VPN and a private address",
    };
  }
  const texts = {
    loopback: "of this machine alone: whatever carries it on from here (a tunnel, a mapped port) has to be as closed",
    private: "of a private network: whoever is in that talks to tasks without the gate's login",
    name: "a host name: whether what it stands for is public depends on who looks it up",
  };
  return {
    level: "ok",
    code: "gateway_address",
    message: `Gateway ${key} is dialled at ${address}, ${texts[kind]}`,
    remedy: null,
  };
}

interface ServiceOfGateway extends KubernetesService {
  readonly spec?: NonNullable<KubernetesService["spec"]> & { readonly loadBalancerSourceRanges?: readonly string[] };
}

function adviseOnService(service: ServiceOfGateway, key: string): readonly ReachAdvice[] {
  const { metadata, spec = {} } = service;
  const name = `${metadata.namespace ?? ""}/${metadata.name}`;
  if (spec.type === "NodePort") {
    return [
      {
        level: "warn",
        code: "gateway_open_to_all",
        message: `Service ${name} of Gateway ${key} is a NodePort: every address of every node leads to tasks`,
        remedy: "close the ports of nodes to all but the gate, by a firewall or the cloud's security groups",
      },
    ];
  }
  if (spec.type !== "LoadBalancer" || isInternal(service)) return [];
  const ranges = spec.loadBalancerSourceRanges ?? [];
  if (ranges.length > 0 && !ranges.some((range) => range.endsWith("/0"))) {
    const message = `Service ${name} of Gateway ${key} lets in ${some(ranges)} alone, where its load balancer enforces that`;
    return [{ level: "ok", code: "gateway_allow_list", message, remedy: null }];
  }
  return [
    {
      level: "warn",
      code: "gateway_open_to_all",
      message: `Service ${name} of Gateway ${key} is a LoadBalancer without loadBalancerSourceRanges: it lets everybody in who gets there`,
      remedy: `kubectl patch service ${metadata.name} --namespace ${metadata.namespace ?? ""} --type merge --patch '{"spec":{"loadBalancerSourceRanges":["ADDRESS-OF-THE-GATE/32"]}}', by what makes that Service where it writes it anew`,
    },
  ];
}

function isInternal({ metadata }: KubernetesService): boolean {
  return Object.entries(INTERNAL).some(([key, values]) => values.includes(metadata.annotations?.[key] ?? ""));
}

/** Whether what goes from the gate to the task is plain text, unless the Gateway ends TLS before it. */
export function isPlainText({ protocol, policy, guard }: Service): boolean {
  return protocol !== "tls" && policy.upstreamTls === undefined && !(protocol === "tcp" && guard === "self");
}

/** What is to be said of a definition of Gateways that somebody has raised. Absent: it is not known. */
export function adviseOnBounds(listeners: Served["gatewayListeners"] | undefined): readonly ReachAdvice[] {
  if (listeners?.told === undefined || listeners.told >= listeners.most) return [];
  return [
    {
      level: "warn",
      code: "gateway_status_bound",
      message: `a Gateway may have ${String(listeners.most)} listeners, and its status tell of ${String(listeners.told)}: beyond these its controller cannot say anything of any of them, so that nobody knows why one is refused`,
      remedy:
        "raise maxItems of status.listeners in the CustomResourceDefinition gateways.gateway.networking.k8s.io to that of spec.listeners, in all versions",
    },
  ];
}

/** Which tasks speak TLS that nobody verifies: whoever is on the way can answer in their place. */
export function adviseOnUnverified(tasks: Iterable<Task>): readonly ReachAdvice[] {
  const loose = namesOf(tasks, ({ protocol, policy }) => protocol !== "tls" && policy.upstreamTls?.verify === "none");
  if (loose.length === 0) return [];
  return [
    {
      level: "warn",
      code: "gateway_unverified",
      message: `${String(loose.length)} tasks speak TLS that the gate does not verify, so that whoever is on the way can answer in their place: ${some(loose)}`,
      remedy:
        "policy.upstreamTls with an authority, of Determined's notebooks determined.tls; or a VPN or tunnel between gate and Gateway",
    },
  ];
}

function namesOf(tasks: Iterable<Task>, isMeant: (service: Service) => boolean): readonly string[] {
  return [...tasks].flatMap((task) => {
    const services = task.services.filter(isMeant).map(({ name }) => name);
    const isOver = task.state === "finished" || task.state === "failed";
    return isOver || services.length === 0 ? [] : [`${task.name} (${services.join(", ")})`];
  });
}

/** Which tasks speak plain text over the network between the gate and the Gateways. `tls`: the Gateways end TLS for these. */
export function adviseOnPlainText(tasks: Iterable<Task>, tls: boolean): readonly ReachAdvice[] {
  if (tls) return [];
  const plain = namesOf(tasks, isPlainText);
  if (plain.length === 0) return [];
  return [
    {
      level: "warn",
      code: "gateway_plain_text",
      message: `${String(plain.length)} tasks speak plain text between the gate and the Gateway, which whoever is on the way can read and change: ${some(plain)}`,
      remedy:
        "gateway.tls: terminate, where the Gateway's controller takes listeners of protocol TLS with TCPRoutes; TLS of the task's own with policy.upstreamTls; or a VPN or tunnel between gate and Gateway",
    },
  ];
}

/** The first of them, and how many more there are. */
export function some(names: readonly string[]): string {
  const more = names.length - NAMES;
  return [...names.slice(0, NAMES), ...(more > 0 ? [`and ${String(more)} more`] : [])].join(", ");
}
