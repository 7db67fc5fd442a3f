import grpc from "@grpc/grpc-js";
import { GatewayError } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import { TurnQueue } from "../../../platform/turn-queue.ts";
import { cutCall, failCall, type GrpcPeer, leaveConnection, peerOf } from "../grpc-server.ts";
import { encode } from "../proto/kit.ts";
import type { Node } from "../proto/tables/core.ts";
import { DeltaDiscoveryResponse } from "../proto/tables/discovery.ts";
import { askedBefore, comingRank, goingRank, passes, ROOT_TYPES, TOLD_AGAIN } from "./order.ts";
import type { Part } from "./outstanding.ts";
import { readRequest } from "./read-request.ts";
import type { Rejections } from "./rejections.ts";
import type { ResourceEvent, ResourceStore } from "./resource-store.ts";
import type { ResourceType } from "./resource-type.ts";
import { Subscription } from "./subscription.ts";

/** Resources in one response; one that is larger goes alone. Envoy has no bound of its own. */
const MAX_RESPONSE_BYTES = 1024 * 1024;
/** Types that one Envoy may ask for. */
const MAX_TYPES = 64;
const MAX_NODE_ID_LENGTH = 256;
/** So long after a stream began an Envoy may ask for clusters. */
const ASKS_MS = 30_000;

export type AdsCall = grpc.ServerDuplexStream<Buffer, Buffer>;

/** Who an Envoy says it is. */
export interface EnvoyNode {
  readonly id: string;
  readonly cluster: string;
  /** `1.40.0`; empty: it does not say. */
  readonly version: string;
}

/** The fleet that it is of, or why it gets nothing. */
export type Admission =
  { readonly fleet: string } | { readonly refused: "unauthenticated" | "denied"; readonly message: string };

export type Admit = (node: EnvoyNode, peer: GrpcPeer) => Admission;

/** Who an Envoy is known to be. */
interface KnownEnvoy {
  readonly node: EnvoyNode;
  readonly fleet: string;
}

export interface AdsStreamDeps {
  readonly call: AdsCall;
  readonly store: ResourceStore;
  readonly rejections: Rejections;
  readonly admit: Admit;
  readonly clock: Clock;
  readonly logger: Logger;
  /** It is known who this is. */
  readonly entered: (stream: AdsStream) => void;
  /** It took something. */
  readonly changed: () => void;
  /** It is sent a response of so many bytes. */
  readonly sent: (bytes: number) => void;
  readonly ended: (stream: AdsStream) => void;
}

/** One Envoy's stream: what it asks for, and in which order it is told. One message at a time is on its way to the socket. */
export class AdsStream {
  readonly #deps: AdsStreamDeps;
  readonly #hearing: TurnQueue;
  readonly #subscriptions = new Map<string, Subscription>();
  #byComing: readonly Subscription[] = [];
  #byGoing: readonly Subscription[] = [];
  #who: KnownEnvoy | null = null;
  #nonce = 0;
  /** Since when a message waits for the connection, or for the Envoy to say who it is; epoch ms. */
  #busySince: number | null;
  /** Epoch ms. */
  readonly #openedAt: number;
  #heardAt = 0;
  /** Whether the Envoy had all that there was, once. */
  #hasAll = false;
  /** Whether a request is being taken, until when nothing is sent: what is asked for is not known yet. */
  #isHearing = false;
  #isOver = false;

  constructor(deps: AdsStreamDeps) {
    this.#deps = deps;
    this.#hearing = new TurnQueue((error) => this.#fail(error));
    const { call, clock } = deps;
    this.#openedAt = clock.now();
    this.#busySince = this.#openedAt;
    call.on("data", (bytes: Buffer) => this.#hearing.add(this.#hear(bytes)));
    call.on("end", () => this.end(grpc.status.OK, "bye"));
    call.on("cancelled", () => this.#over());
    call.on("close", () => this.#over());
  }

  /** Null before the first request. */
  get who(): KnownEnvoy | null {
    return this.#who;
  }

  /** Epoch ms. */
  get openedAt(): number {
    return this.#openedAt;
  }

  /** When the Envoy last said something, epoch ms. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** `IP:PORT` of the other end; null: it is a socket of this machine. */
  get address(): string | null {
    const peer = this.#deps.call.getPeer();
    return /:\d+$/.test(peer) ? peer : null;
  }

  /** `seq` up to which the Envoy has taken all that is for it, but what it refused; 0: it has not had all once. */
  get applied(): number {
    if (!this.#hasAll) return 0;
    const { isSettled, wholeSeq } = this.#deps.store;
    let oldest = wholeSeq + 1;
    for (const each of this.#byComing) {
      oldest = Math.min(oldest, each.oldest("set"), isSettled ? each.oldest("gone") : Infinity);
    }
    return oldest - 1;
  }

  /** Whether the Envoy has answered all that it was to be told of a type, or does not ask for it. */
  hasTaken(type: string): boolean {
    return (this.#subscriptions.get(type)?.oldest("set") ?? Infinity) === Infinity;
  }

  /** Since when the Envoy owes answers and says nothing at all, or does not read, epoch ms. */
  get waitsSince(): number | null {
    if (this.#busySince !== null) return this.#busySince;
    let since = Infinity;
    for (const { waitsSince } of this.#byComing) since = Math.min(since, waitsSince ?? Infinity);
    return since === Infinity ? null : Math.max(since, this.#heardAt);
  }

  hearOf(events: readonly ResourceEvent[]): void {
    for (const event of events) this.#subscriptions.get(event.type.url)?.changed(event);
  }

  /** All that there is has come: what waited for that goes. */
  settled(): void {
    for (const subscription of this.#subscriptions.values()) subscription.settled();
    this.pump();
  }

  /** What the Envoy refused is sent again, as it may take it by now. */
  tryAgain(type: ResourceType, id: number): void {
    this.#subscriptions.get(type.url)?.tellAgain(type.nameOf(id));
  }

  /** Sends what may go now. */
  pump(): void {
    if (this.#busySince !== null || this.#isHearing || this.#isOver) return;
    const next = this.#next();
    if (next !== null) this.#send(next.subscription, next.part);
  }

  /** Whether it comes from another machine, or may. */
  get isElsewhere(): boolean {
    return peerOf(this.#deps.call).kind !== "unix";
  }

  /** Ends the stream, and its connection when nothing else is on it. */
  leave(details: string): void {
    this.end(grpc.status.UNAVAILABLE, details);
    leaveConnection(this.#deps.call);
  }

  /** Ends the stream with a status. */
  end(code: grpc.status, details: string): void {
    if (this.#isOver) return;
    if (code === grpc.status.OK) this.#deps.call.end();
    else failCall(this.#deps.call, code, details);
    this.#over();
  }

  /** Gives up an Envoy, which may not even read why. */
  giveUp(details: string): void {
    const readsNothing = this.#busySince !== null;
    this.end(grpc.status.DEADLINE_EXCEEDED, details);
    if (readsNothing) cutCall(this.#deps.call);
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#hearing[Symbol.dispose]();
    for (const subscription of this.#byComing) subscription.end();
    this.#deps.ended(this);
  }

  /** One request after the other: the next is read when this one is taken. */
  *#hear(bytes: Buffer): Generator<void, void> {
    if (this.#isOver) return;
    const { call, clock } = this.#deps;
    this.#heardAt = clock.now();
    this.#isHearing = true;
    call.pause();
    const request = yield* readRequest(bytes);
    if (this.#who === null && !this.#enter(request.node)) return;
    yield* this.#subscription(request.typeUrl).hear(request);
    this.#isHearing = false;
    call.resume();
    this.#hasAll ||= this.#isLoaded();
    this.#deps.changed();
    this.pump();
  }

  #fail(error: unknown): void {
    if (error instanceof GatewayError) this.end(grpc.status.RESOURCE_EXHAUSTED, error.message);
    else if (error instanceof RangeError) this.end(grpc.status.INVALID_ARGUMENT, "this is no DeltaDiscoveryRequest");
    else {
      this.#deps.logger.error({ err: error }, "a request of an envoy failed");
      this.end(grpc.status.INTERNAL, "the gate failed");
    }
  }

  #isLoaded(): boolean {
    const { store } = this.#deps;
    const fleet = this.#who?.fleet ?? "";
    const asked = ROOT_TYPES.every((url) => this.#subscriptions.has(url) || !store.hasAny(url, fleet));
    return asked && this.#byComing.every(({ loaded }) => loaded);
  }

  #enter(said: Node | undefined): boolean {
    const node = nodeOf(said);
    if (node === null) {
      this.end(grpc.status.INVALID_ARGUMENT, "the first request names no node: give the Envoy a node.id");
      return false;
    }
    const admission = this.#deps.admit(node, peerOf(this.#deps.call));
    if ("refused" in admission) {
      const isUnknown = admission.refused === "unauthenticated";
      this.end(isUnknown ? grpc.status.UNAUTHENTICATED : grpc.status.PERMISSION_DENIED, admission.message);
      return false;
    }
    this.#busySince = null;
    this.#who = { node, fleet: admission.fleet };
    this.#deps.entered(this);
    return true;
  }

  #subscription(url: string): Subscription {
    const known = this.#subscriptions.get(url);
    if (known !== undefined) return known;
    const { store, rejections } = this.#deps;
    if (url === "") throw new RangeError("a request without type");
    if (this.#subscriptions.size >= MAX_TYPES || this.#who === null)
      throw new GatewayError("too_large", "too many types of resources were asked for");
    const { node, fleet } = this.#who;
    const created = new Subscription(store.askedType(url), { store, rejections, fleet, node: node.id });
    this.#subscriptions.set(url, created);
    const all = [...this.#subscriptions.values()];
    this.#byComing = all.toSorted((a, b) => comingRank(a.type.url) - comingRank(b.type.url));
    this.#byGoing = all.toSorted((a, b) => goingRank(a.type.url) - goingRank(b.type.url));
    return created;
  }

  #next(): { readonly subscription: Subscription; readonly part: Part } | null {
    for (const subscription of this.#byComing) {
      const part = this.#mayCome(subscription) ? subscription.nextComing(MAX_RESPONSE_BYTES) : null;
      if (part !== null) return { subscription, part };
    }
    if (!this.#deps.store.isSettled) return null;
    for (const subscription of this.#byGoing) {
      if (!subscription.canSend) continue;
      const part = subscription.nextAbsent() ?? (this.#mayGo(subscription) ? subscription.nextGoing() : null);
      if (part !== null) return { subscription, part };
    }
    return null;
  }

  /** What came before, in types that it may refer to, is taken. */
  #mayCome(subscription: Subscription): boolean {
    const seq = subscription.waits("set");
    if (!subscription.canSend || seq === Infinity) return false;
    const now = this.#deps.clock.now();
    if (!this.#isAskedBefore(subscription.type.url, now)) return false;
    for (const before of this.#byComing) {
      if (before === subscription) return true;
      if (passes(subscription.type.url, before.type.url)) continue;
      if (before.holdsBack("set", now) <= seq) return false;
    }
    return true;
  }

  /** Whether the Envoy has asked for what this refers to, as far as there is any; one that does not for long does not use it. */
  #isAskedBefore(url: string, now: number): boolean {
    const before = askedBefore(url);
    if (before === null || this.#subscriptions.has(before) || now - this.#openedAt >= ASKS_MS) return true;
    return !this.#deps.store.hasAny(before, this.#who?.fleet ?? "");
  }

  /** Whatever came before is taken, and what may refer to it is gone. */
  #mayGo(subscription: Subscription): boolean {
    const seq = subscription.waits("gone");
    if (seq === Infinity) return false;
    const now = this.#deps.clock.now();
    if (this.#byComing.some((each) => each.holdsBack("set", now) <= seq)) return false;
    for (const before of this.#byGoing) {
      if (before === subscription) return true;
      if (before.holdsBack("gone", now) <= seq) return false;
    }
    return true;
  }

  /** What the Envoy waits for, of what it knows already. */
  #tellAgain(subscription: Subscription, ids: readonly number[]): void {
    const told = this.#subscriptions.get(TOLD_AGAIN);
    if (told === undefined || this.#who === null) return;
    for (const id of ids) {
      const again = subscription.type.find(id, this.#who.fleet)?.again;
      if (again !== undefined) told.tellAgain(again);
    }
  }

  #send(subscription: Subscription, part: Part): void {
    const { call, clock } = this.#deps;
    const nonce = String((this.#nonce += 1));
    const names = part.kind === "gone" ? part.ids.map((id) => subscription.type.nameOf(id)) : [];
    const head = encode(DeltaDiscoveryResponse, { typeUrl: subscription.type.url, nonce, removedResources: names });
    const response = part.kind === "set" ? joined(head, part) : head;
    this.#busySince = clock.now();
    if (part.kind === "set") this.#tellAgain(subscription, part.ids);
    subscription.sent(part, nonce, this.#busySince);
    this.#deps.sent(response.length);
    call.write(response, () => {
      this.#busySince = null;
      this.pump();
    });
  }
}

/** A response whose resources are these: entries are fields of it. */
function joined(head: Buffer, { entries, bytes }: Extract<Part, { kind: "set" }>): Buffer {
  const whole = Buffer.allocUnsafeSlow(head.length + bytes);
  let at = head.copy(whole);
  for (const entry of entries) at += whole.write(entry, at, "latin1");
  return whole;
}

function nodeOf(said: Node = {}): EnvoyNode | null {
  const { id = "", cluster = "" } = said;
  if (id === "" || id.length > MAX_NODE_ID_LENGTH) return null;
  return { id, cluster, version: versionOf(said) };
}

function versionOf({ userAgentBuildVersion, userAgentVersion = "" }: Node): string {
  if (userAgentBuildVersion?.version === undefined) return userAgentVersion;
  const { majorNumber = 0, minorNumber = 0, patch = 0 } = userAgentBuildVersion.version;
  return `${majorNumber}.${minorNumber}.${patch}`;
}
