import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { TLSSocket } from "node:tls";
import { isDeepStrictEqual } from "node:util";
import { makeAuthority, type Authority } from "../../../dataplanes/testing/make-authority.ts";
import type { Cluster } from "../cluster.ts";
import { writtenCredentials } from "../credentials.ts";
import type { KubernetesObject } from "../objects.ts";
import { fixedText } from "../text-source.ts";

const SERVER_NAME = "api.test";

/** One request, read whole. */
export interface Request {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
  readonly socket: TLSSocket;
}

/** Answers in the server's place; false: it is the server's after all. */
export type Intercept = (request: Request, response: ServerResponse) => boolean;

interface Change {
  readonly version: number;
  readonly collection: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubernetesObject;
}

interface Watcher {
  readonly collection: string;
  readonly response: ServerResponse;
}

/** An API server in memory that speaks the real protocol over TLS, as far as tests go: lists in pages, watches, writes by version. */
export class FakeApiServer implements AsyncDisposable {
  readonly requests: Request[] = [];
  readonly authority: Authority;
  /** Connections that were ever made. */
  connections = 0;
  intercept: Intercept = () => false;
  readonly #server: ReturnType<typeof createServer>;
  readonly #objects = new Map<string, Map<string, KubernetesObject>>();
  /** Of each object, by path, which annotations who applied it has. */
  readonly #managers = new Map<string, AppliedAnnotations>();
  #history: Change[] = [];
  readonly #watchers = new Set<Watcher>();
  #version = 100;
  #compacted = 0;

  private constructor(server: ReturnType<typeof createServer>, authority: Authority) {
    this.#server = server;
    this.authority = authority;
    server.on("secureConnection", () => (this.connections += 1));
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  static async start(options: ServerOptions = {}): Promise<FakeApiServer> {
    const authority = await makeAuthority();
    const { certificate: cert, key } = await authority.issue([`DNS:${SERVER_NAME}`]);
    const server = createServer({ cert, key, ca: authority.certificate, ...options });
    const fake = new FakeApiServer(server, authority);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return fake;
  }

  /** A way to it that proves nobody. */
  cluster(more: Partial<Cluster> = {}): Cluster {
    return {
      server: new URL(this.url),
      authority: fixedText(this.authority.certificate),
      serverName: SERVER_NAME,
      insecure: false,
      credentials: writtenCredentials({}),
      headers: {},
      namespace: "default",
      ...more,
    };
  }

  get url(): string {
    return `https://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** Of the last change. */
  get version(): number {
    return this.#version;
  }

  get watches(): number {
    return this.#watchers.size;
  }

  /** Makes or changes an object, as one who applies nothing; `path` is that of its collection, namespace included. */
  put(path: string, object: KubernetesObject): KubernetesObject {
    const at = `${path}/${object.metadata.name}`;
    const managers = this.#managers.get(at) ?? new AppliedAnnotations();
    managers.overwritten(this.get(path, object.metadata.name), object);
    this.#managers.set(at, managers);
    return this.#set(path, object);
  }

  #set(path: string, object: KubernetesObject): KubernetesObject {
    const collection = this.#objects.get(path) ?? new Map<string, KubernetesObject>();
    this.#objects.set(path, collection);
    const before = collection.get(object.metadata.name);
    this.#version += 1;
    const uid = object.metadata.uid ?? before?.metadata.uid ?? `uid-${String(this.#version)}`;
    const written = { ...object, metadata: { ...object.metadata, uid, resourceVersion: String(this.#version) } };
    collection.set(object.metadata.name, written);
    this.#tell(path, before === undefined ? "ADDED" : "MODIFIED", written);
    return written;
  }

  get(path: string, name: string): KubernetesObject | undefined {
    return this.#objects.get(path)?.get(name);
  }

  /** All of a collection. */
  list(path: string): readonly KubernetesObject[] {
    return [...(this.#objects.get(path)?.values() ?? [])];
  }

  remove(path: string, name: string): void {
    const object = this.#objects.get(path)?.get(name);
    if (object === undefined) return;
    this.#objects.get(path)?.delete(name);
    this.#managers.delete(`${path}/${name}`);
    this.#version += 1;
    const last = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    this.#tell(path, "DELETED", last);
  }

  /** Forgets what changed until now, as etcd does: watches cannot begin before. */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#version;
  }

  bookmark(): void {
    this.#version += 1;
    const object = { kind: "Bookmark", metadata: { resourceVersion: String(this.#version) } };
    for (const { response } of this.#watchers) writeLine(response, { type: "BOOKMARK", object });
  }

  /** Watches stay open, and are told nothing more. */
  forgetWatches(): void {
    this.#watchers.clear();
  }

  /** Writes that to every watch, as it is. */
  writeRaw(text: string | Buffer): void {
    for (const { response } of this.#watchers) response.write(text);
  }

  /** Ends every watch: orderly, or by cutting its connection. */
  endWatches(how: "end" | "cut"): void {
    for (const { response } of this.#watchers) {
      if (how === "end") response.end();
      else response.destroy();
    }
    this.#watchers.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  #tell(path: string, type: Change["type"], object: KubernetesObject): void {
    const change = { version: this.#version, collection: path, type, object };
    this.#history.push(change);
    for (const { collection, response } of this.#watchers) {
      if (isWithin(path, collection)) writeLine(response, { type, object });
    }
  }

  async #serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? "/", "https://api.test");
    const pieces: Buffer[] = [];
    for await (const piece of message as AsyncIterable<Buffer>) pieces.push(piece);
    const text = Buffer.concat(pieces).toString("utf8");
    const { socket } = message;
    if (!(socket instanceof TLSSocket)) throw new TypeError("expected TLS");
    const request: Request = {
      method: message.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: message.headers,
      body: text === "" ? null : JSON.parse(text),
      socket,
    };
    this.requests.push(request);
    if (this.intercept(request, response)) return;
    if (request.query.get("watch") === "true") this.#watch(request, response);
    else if (request.method === "GET") this.#read(request, response);
    else this.#write(request, response);
  }

  #read({ path, query }: Request, response: ServerResponse): void {
    const [collection, name] = split(path);
    const object = this.get(collection, name);
    if (object !== undefined) {
      answer(response, 200, object);
      return;
    }
    if (isObjectPath(path)) {
      refuse(response, 404, "NotFound");
      return;
    }
    const all = [...this.#objects].filter(([of]) => isWithin(of, path)).flatMap(([, objects]) => [...objects.values()]);
    const from = Number(query.get("continue") ?? "0");
    const to = from + Number(query.get("limit") ?? all.length);
    const more = to < all.length ? { continue: String(to) } : {};
    answer(response, 200, {
      metadata: { resourceVersion: String(this.#version), ...more },
      items: all.slice(from, to),
    });
  }

  #watch({ path, query }: Request, response: ServerResponse): void {
    const from = Number(query.get("resourceVersion"));
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (from < this.#compacted) {
      const object = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };
      writeLine(response, { type: "ERROR", object });
      response.end();
      return;
    }
    for (const { version, collection, type, object } of this.#history) {
      if (version > from && isWithin(collection, path)) writeLine(response, { type, object });
    }
    const watcher = { collection: path, response };
    this.#watchers.add(watcher);
    response.on("close", () => this.#watchers.delete(watcher));
  }

  #write({ method, path, body, query }: Request, response: ServerResponse): void {
    const given = (body ?? {}) as KubernetesObject;
    const [collection, name] = method === "POST" ? [path, given.metadata.name] : split(path);
    const before = this.get(collection, name);
    const refusal = refusalOf(method, before, given);
    if (refusal !== null) refuse(response, ...refusal);
    else if (method === "DELETE") {
      this.remove(collection, name);
      answer(response, 200, { kind: "Status", status: "Success" });
    } else if (method === "PATCH") this.#apply(before, given, { collection, query, response });
    else answer(response, method === "POST" ? 201 : 200, this.put(collection, given));
  }

  /** Close enough to the server's for what is given whole; of annotations each is of its managers. */
  #apply(
    before: KubernetesObject | undefined,
    given: KubernetesObject,
    to: { readonly collection: string; readonly query: URLSearchParams; readonly response: ServerResponse },
  ): void {
    const { collection, query, response } = to;
    const at = `${collection}/${given.metadata.name}`;
    const managers = this.#managers.get(at) ?? new AppliedAnnotations();
    const annotations = managers.apply(before, given, {
      manager: query.get("fieldManager") ?? "",
      force: query.get("force") === "true",
    });
    if (typeof annotations === "string") {
      const message = `Apply failed with 1 conflict: conflict with "other" using v1: .metadata.annotations.${annotations}`;
      answer(response, 409, { kind: "Status", status: "Failure", code: 409, reason: "Conflict", message });
      return;
    }
    this.#managers.set(at, managers);
    const after = { ...before, ...given, metadata: { ...before?.metadata, ...given.metadata, annotations } };
    // What changes nothing is no write.
    answer(response, 200, isDeepStrictEqual(after, before) ? before : this.#set(collection, after));
  }
}

/** Who has which annotations of an object. */
class AppliedAnnotations {
  readonly #owned = new Map<string, ReadonlySet<string>>();
  /** Changed by who applies nothing: theirs. */
  readonly #others = new Set<string>();

  /** What they are then; or the name of one that is to be another and is somebody else's. */
  apply(
    before: KubernetesObject | undefined,
    { metadata }: KubernetesObject,
    { manager, force }: { readonly manager: string; readonly force: boolean },
  ): Readonly<Record<string, string>> | string {
    const old = before?.metadata.annotations ?? {};
    const wanted = metadata.annotations ?? {};
    const differing = Object.keys(wanted).filter((key) => key in old && old[key] !== wanted[key]);
    const conflict = differing.find((key) => this.#others.has(key) || this.#ofOthers(manager).has(key));
    if (conflict !== undefined && !force) return conflict;
    const dropped = [...(this.#owned.get(manager) ?? [])].filter((key) => !(key in wanted));
    const kept = Object.entries(old).filter(([key]) => !dropped.includes(key) || this.#ofOthers(manager).has(key));
    this.#owned.set(manager, new Set(Object.keys(wanted)));
    return { ...Object.fromEntries(kept), ...wanted };
  }

  overwritten(before: KubernetesObject | undefined, after: KubernetesObject): void {
    const [old, now] = [before?.metadata.annotations ?? {}, after.metadata.annotations ?? {}];
    const changed = new Set([...Object.keys(old), ...Object.keys(now)].filter((key) => old[key] !== now[key]));
    for (const [manager, keys] of this.#owned) this.#owned.set(manager, keys.difference(changed));
    for (const key of changed) {
      if (key in now) this.#others.add(key);
      else this.#others.delete(key);
    }
  }

  #ofOthers(manager: string): ReadonlySet<string> {
    return new Set([...this.#owned].flatMap(([other, keys]) => (other === manager ? [] : [...keys])));
  }
}

function refusalOf(
  method: string,
  before: KubernetesObject | undefined,
  given: KubernetesObject,
): readonly [status: number, reason: string] | null {
  if (method === "POST") return before === undefined ? null : [409, "AlreadyExists"];
  if (method === "PATCH") {
    const { uid = before?.metadata.uid } = given.metadata;
    return uid === before?.metadata.uid ? null : [409, "Conflict"];
  }
  if (before === undefined) return [404, "NotFound"];
  if (method === "DELETE" || before.metadata.resourceVersion === given.metadata.resourceVersion) return null;
  return [409, "Conflict"];
}

export function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}

export function refuse(
  response: ServerResponse,
  status: number,
  reason: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ kind: "Status", status: "Failure", code: status, reason, message: `it is ${reason}` }));
}

function writeLine(response: ServerResponse, event: unknown): void {
  response.write(`${JSON.stringify(event)}\n`);
}

function split(path: string): readonly [collection: string, name: string] {
  const at = path.lastIndexOf("/");
  return [path.slice(0, at), path.slice(at + 1)];
}

/** `/api/v1/namespaces/a/pods/b` and `/api/v1/namespaces/a`, and not `/api/v1/pods`. */
function isObjectPath(path: string): boolean {
  const parts = path.replace(/^\/(api|apis\/[^/]+)\/[^/]+\//, "").split("/");
  return parts.length % 2 === 0;
}

/** Whether what is in `collection` is seen from `path`, which may be that of all namespaces. */
function isWithin(collection: string, path: string): boolean {
  return collection === path || collection.replace(/\/namespaces\/[^/]+(?=\/)/, "") === path;
}
