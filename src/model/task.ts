import type { Access } from "./access.ts";
import { hostPort } from "./host-port.ts";
import type { Identity } from "./identity.ts";

/** `tls` is passed through untouched and found by its server name. */
export type Protocol = "http" | "grpc" | "tcp" | "tls";

/** A further way in that a provider asks for. The core grants it, or answers with a Problem. */
export type Exposure =
  | { readonly by: "host"; readonly label: string; readonly domain?: string }
  /** Never on the gate's own host; `host` absent means the configured path host. */
  | { readonly by: "path"; readonly host?: string; readonly prefix: string; readonly strip: boolean }
  | { readonly by: "serverName"; readonly name: string }
  /** Raw TCP; `port` absent: allot one. */
  | { readonly by: "port"; readonly port?: number }
  | { readonly by: "headers"; readonly all: readonly (readonly [name: string, value: string])[] };

/** How to ask an endpoint whether it is well. */
export interface ActiveHealth {
  /** HTTP services: GET this path, 200–399 is healthy. gRPC services: grpc.health.v1. Others, and HTTP without a path: a TCP connect. */
  readonly path?: string;
  readonly everyMs: number;
}

/** How a service wants to be treated; every field has a default from config. */
export interface Policy {
  readonly connectTimeoutMs?: number;
  /** Longest silence, both ways, before a connection is closed. There is no overall deadline. */
  readonly idleTimeoutMs?: number;
  readonly activeHealth?: ActiveHealth;
  /** A browser stays with the replica that it came to, for as long as that is well. HTTP only. */
  readonly sticky?: boolean;
  /** Requests under way at once; more are answered 503. The gate's own bound stays above it. */
  readonly maxRequests?: number;
  /** How long an endpoint that joins others, or is well again, gets less than its share; 0: not at all. */
  readonly slowStartMs?: number;
  /** The job sees its own address as Host (and as Origin where it was the gate's), for programs that check. */
  readonly rewriteHost?: boolean;
  /** TLS between the gate and the job. Services of protocol `tls` bring their own and take none of this. */
  readonly upstreamTls?: {
    /** Sent as server name, and looked for in the job's certificate; absent: its IP address is looked for, and no name sent. */
    readonly serverName?: string;
    /** `full`: authority and name; `authority`: any name; `none`: anybody. */
    readonly verify: "full" | "authority" | "none";
    /** PEM: whom to believe instead of the authorities that Node knows. */
    readonly authority?: string;
    /** PEM: certificate chain and private key that the gate shows. Never logged. */
    readonly identity?: string;
  };
  /** Connections to the job begin with a PROXY header that names the visitor. HTTP services then get a connection for each request. */
  readonly proxyProtocol?: "v1" | "v2";
  /** Whose the Authorization header is; "gate" headers never reach the job, even refused ones. */
  readonly authorization?: "gate" | "app";
  readonly allowedOrigins?: readonly string[];
  readonly frame?: string;
  readonly writeAction?: string;
  /** What the job is given to verify who asks: as old as the session (the default), fresh within a minute, or nothing. */
  readonly assertion?: "none" | "session" | "fresh";
  /**
   * What becomes of what is open through a plane that goes on without its gate (Envoy) when the gate that could end it is gone: it stays and
   * is listed (the default), or it is closed, and nothing that lasts is let in while there is no gate.
   */
  readonly unheld?: "keep" | "close";
  /** How long nobody may use it before its task is stopped (`2h`), or `never`; absent: as configured. */
  readonly cull?: string;
}

/** One named port of a task. */
export interface Service {
  readonly name: string;
  readonly protocol: Protocol;
  /** The port that it listens on, where it is known before any endpoint is. */
  readonly port?: number;
  /** Who checks who comes. tcp and tls carry no login: "self" services authenticate by themselves, the rest is reached by `forward`. */
  readonly guard: "gate" | "self";
  /** What `open` opens, e.g. `/lab`. */
  readonly landingPath?: string;
  /** Beside the host names that every service gets. */
  readonly exposures: readonly Exposure[];
  /** Absent: the task's. */
  readonly access?: Access;
  readonly policy: Policy;
  /** Nothing is known of it yet but that visitors may come for it: its hosts say why nothing answers, lists leave it out. */
  readonly awaited?: true;
}

export type Health = "unknown" | "healthy" | "unhealthy" | "draining";

/** Whether an endpoint of this health may get something new. */
export function takesNew(health: Health): boolean {
  return health === "healthy" || health === "unknown";
}

/** IPs or unix sockets; providers resolve names. */
export type Address = { readonly ip: string; readonly port: number } | { readonly unix: string };

/** The one spelling of an address, for keys and for people: `127.0.0.1:80`, `[::1]:80`, `unix:/path`. */
export function addressText(address: Address): string {
  return "unix" in address ? `unix:${address.unix}` : hostPort(address.ip, address.port);
}

/** One address of one replica. */
export interface Endpoint {
  readonly address: Address;
  /** Stable within the task: "0", a pod's name, a job's id. */
  readonly replica: string;
  /** Pod that it is in, of the task's namespace: for a reach that goes by names. */
  readonly pod?: string;
  /** 1 and up; relative to the other endpoints of the service. */
  readonly weight: number;
  readonly health: Health;
}

export type TaskState = "starting" | "running" | "stopping" | "finished" | "failed";

/** One running unit with an owner. */
export interface Task {
  /** Unique and stable within its provider. */
  readonly id: string;
  /** Different for a later task that gets the same id; absent: the two cannot be told apart. */
  readonly instance?: string;
  readonly name: string;
  /** notebook, tensorboard, spark, dask, …: for people. */
  readonly kind: string;
  readonly owner: Identity | null;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where it lives in a cluster. */
  readonly ref?: {
    readonly cluster: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
    readonly selector?: Readonly<Record<string, string>>;
    /** How many pods are to do that work together; absent: nothing says so. */
    readonly size?: number;
    /** Labels, and of each the values, that its pods have and no others of the namespace; absent: nothing tells them from others. */
    readonly pods?: Readonly<Record<string, readonly string[]>>;
  };
  readonly state: TaskState;
  /** Why it is in that state, in words for its owner. */
  readonly reason?: string;
  /** Epoch ms. */
  readonly startedAt?: number;
  readonly services: readonly Service[];
  /** By service name; changes far more often than the rest. */
  readonly endpoints: Readonly<Record<string, readonly Endpoint[]>>;
  readonly access: Access;
}
