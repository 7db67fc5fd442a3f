import grpc from "@grpc/grpc-js";
import { decode, encode } from "../../proto/kit.ts";
import { DeltaDiscoveryRequest, DeltaDiscoveryResponse, type Resource } from "../../proto/tables/discovery.ts";

export const TYPES = {
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoints: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  routes: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  extension: "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
} as const;
export type TypeName = keyof typeof TYPES;

const PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const asIs = (bytes: Buffer): Buffer => bytes;
const OPTIONS = { "grpc.max_receive_message_length": -1, "grpc.use_local_subchannel_pool": 1 };

/** Bytes of messages to and from the gate, as an Envoy's stream has them. */
export type AdsStreamCall = grpc.ClientDuplexStream<Buffer, Buffer>;

/** A client with a connection of its own to `target` (`unix:PATH` or `HOST:PORT`); whoever makes it closes it. */
export function adsClient(target: string, credentials = grpc.credentials.createInsecure()): grpc.Client {
  return new grpc.Client(target, credentials, OPTIONS);
}

export function openAdsStream(client: grpc.Client): AdsStreamCall {
  return client.makeBidiStreamRequest(PATH, asIs, asIs);
}

export interface SimulatedOptions {
  /** `unix:PATH` or `HOST:PORT`. */
  readonly target: string;
  readonly id: string;
  readonly cluster?: string;
  readonly credentials?: grpc.ChannelCredentials;
  /** Why it refuses a response (the names in it); null: it takes it. */
  readonly refuses?: (type: TypeName, names: readonly string[]) => string | null;
  /** Asks for the endpoints of each cluster that it gets, and not of those that go. */
  readonly followsClusters?: boolean;
  /** Answers no response. */
  readonly isSilent?: boolean;
}

export interface Received {
  readonly type: TypeName;
  readonly names: readonly string[];
  readonly removed: readonly string[];
  readonly nonce: string;
  readonly bytes: number;
}

/** A client that behaves as an Envoy does on its delta ADS stream, without the work of one. */
export class SimulatedEnvoy implements Disposable {
  readonly #options: SimulatedOptions;
  #client: grpc.Client | null = null;
  #call: AdsStreamCall | null = null;
  #saidNode = false;
  /** What it has: versions by name. Outlives its connections, as in an Envoy. */
  readonly held: Readonly<Record<TypeName, Map<string, string>>>;
  readonly #wanted: Readonly<Record<TypeName, Set<string>>>;
  readonly #started = new Set<TypeName>();
  readonly received: Received[] = [];
  status: grpc.StatusObject | null = null;
  readonly #waiting = new Set<() => void>();

  constructor(options: SimulatedOptions) {
    this.#options = options;
    this.held = byType(() => new Map<string, string>());
    this.#wanted = byType(() => new Set<string>());
  }

  /** Opens a stream; what was asked for before is asked for again, with the versions that it has. */
  connect(): this {
    this.#client ??= adsClient(this.#options.target, this.#options.credentials);
    this.#saidNode = false;
    this.status = null;
    const call = openAdsStream(this.#client);
    this.#call = call;
    call.on("data", (bytes: Buffer) => this.#hear(bytes));
    call.on("error", () => undefined);
    call.on("status", (status: grpc.StatusObject) => {
      if (this.#call === call) this.status = status;
      this.#news();
    });
    for (const type of this.#started) this.#first(type);
    return this;
  }

  disconnect(): void {
    this.#call?.cancel();
    this.#call = null;
    this.#client?.close();
    this.#client = null;
  }

  [Symbol.dispose](): void {
    this.disconnect();
  }

  /** Stops reading, as a process that is stopped does. */
  pause(): void {
    this.#call?.pause();
  }

  resume(): void {
    this.#call?.resume();
  }

  subscribe(type: TypeName, ...names: string[]): this {
    for (const name of names) this.#wanted[type].add(name);
    if (this.#started.has(type)) this.send({ typeUrl: TYPES[type], resourceNamesSubscribe: names });
    else {
      this.#started.add(type);
      this.#first(type);
    }
    return this;
  }

  unsubscribe(type: TypeName, ...names: string[]): void {
    for (const name of names) {
      this.#wanted[type].delete(name);
      this.held[type].delete(name);
    }
    this.send({ typeUrl: TYPES[type], resourceNamesUnsubscribe: names });
  }

  send(request: DeltaDiscoveryRequest): void {
    const { id, cluster = "local" } = this.#options;
    const node = { id, cluster, userAgentBuildVersion: { version: { majorNumber: 1, minorNumber: 40, patch: 0 } } };
    this.#call?.write(encode(DeltaDiscoveryRequest, this.#saidNode ? request : { ...request, node }));
    this.#saidNode = true;
  }

  ack(response: Received, message?: string): void {
    const errorDetail = message === undefined ? undefined : { code: 13, message };
    this.send({ typeUrl: TYPES[response.type], responseNonce: response.nonce, errorDetail });
  }

  /** Resolves once `holds` does; it is asked after every message, and now and then. */
  async until(holds: () => boolean, what = holds.toString()): Promise<void> {
    if (holds()) return;
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const check = (): void => {
      if (holds()) resolve(undefined);
    };
    this.#waiting.add(check);
    const polling = setInterval(check, 20);
    const timer = setTimeout(() => reject(new Error(`${this.#options.id} waited in vain: ${what}`)), 10_000);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      clearInterval(polling);
      this.#waiting.delete(check);
    }
  }

  has(type: TypeName, ...names: string[]): boolean {
    return names.every((name) => this.held[type].has(name));
  }

  #first(type: TypeName): void {
    const held = Object.fromEntries(this.held[type]);
    this.send({ typeUrl: TYPES[type], resourceNamesSubscribe: [...this.#wanted[type]], initialResourceVersions: held });
  }

  #hear(bytes: Buffer): void {
    const response = decode(DeltaDiscoveryResponse, bytes);
    const { resources = [], removedResources: removed = [], typeUrl: url = "", nonce = "" } = response;
    const type = (Object.keys(TYPES) as TypeName[]).find((name) => TYPES[name] === url);
    if (type === undefined) return; // of one that only asks of it, never answers
    const names = resources.map(({ name = "" }) => name);
    const received = { type, names, removed, nonce, bytes: bytes.length };
    this.received.push(received);
    if (this.#options.isSilent !== true) {
      const refusal = this.#options.refuses?.(type, names) ?? null;
      if (refusal === null) this.#take(type, resources, removed);
      this.ack(received, refusal ?? undefined);
    }
    this.#news();
  }

  #take(type: TypeName, resources: readonly Resource[], removed: readonly string[]): void {
    for (const { name = "", version = "" } of resources) this.held[type].set(name, version);
    for (const name of removed) this.held[type].delete(name);
    if (type !== "cluster" || this.#options.followsClusters !== true) return;
    const fresh = resources.map(({ name = "" }) => name).filter((name) => !this.#wanted.endpoints.has(name));
    if (fresh.length > 0) this.subscribe("endpoints", ...fresh);
    const over = removed.filter((name) => this.#wanted.endpoints.has(name));
    if (over.length > 0) this.unsubscribe("endpoints", ...over);
  }

  #news(): void {
    for (const check of this.#waiting) check();
  }
}

function byType<T>(create: () => T): Readonly<Record<TypeName, T>> {
  const names = Object.keys(TYPES) as TypeName[];
  return Object.fromEntries(names.map((name) => [name, create()])) as Record<TypeName, T>;
}
