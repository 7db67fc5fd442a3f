import type { ServerDuplexStream } from "@grpc/grpc-js";
import { randomBytes } from "node:crypto";
import type { RequestHead } from "../../../model/index.ts";
import { CLAIMS } from "../authz/cel.ts";
import { FILTER, KNOWN_KEY, POLICY_KEY } from "../authz/names.ts";
import { grpcMethod } from "../proto/grpc-method.ts";
import type { Json, Struct } from "../proto/kit.ts";
import { ProcessingRequest, ProcessingResponse } from "../proto/tables/ext-proc.ts";
import type { Book, BookDeps } from "./book.ts";
import { kindOf } from "./facts.ts";
import { ATTRIBUTES, HOLD_NAMESPACE } from "./hold-filters.ts";
import { TAGS } from "./loggers.ts";

type Call = ServerDuplexStream<ProcessingRequest, ProcessingResponse>;

/** Namespace in which Envoy puts attributes, whatever the filter is called. */
const ATTRIBUTES_NAMESPACE = "envoy.filters.http.ext_proc";
const REVOKED: ProcessingResponse = Object.freeze({
  immediateResponse: { status: { code: "Forbidden" }, details: "taskgate_cut" },
} as const);

export interface HoldServiceDeps extends Pick<BookDeps, "clock" | "routeOf" | "who"> {
  readonly book: Book;
}

/**
 * envoy.service.ext_proc.v3.ExternalProcessor: one stream beside each request that lasts, for as long as that does. The gate says once that
 * the request may go on, and then nothing, unless it ends it. No body comes here.
 */
export function holdService(deps: HoldServiceDeps) {
  /** Of this process: what another one named is not held here. */
  const own = randomBytes(6).toString("base64url");
  let last = 0;
  const path = { service: "envoy.service.ext_proc.v3.ExternalProcessor", name: "Process" };
  const types = { request: ProcessingRequest, response: ProcessingResponse };
  return {
    definition: { process: grpcMethod(path, types, { request: true, response: true }) },
    implementation: { process: (call: Call) => new HeldStream(deps, call, `${own}.${(++last).toString(36)}`) },
  };
}

/** Begun → held (its request is in the book) → ended, by Envoy's word, or lost, without. */
class HeldStream {
  readonly #deps: HoldServiceDeps;
  readonly #call: Call;
  readonly #key: string;
  #open = true;
  #wasCut = false;

  constructor(deps: HoldServiceDeps, call: Call, key: string) {
    this.#deps = deps;
    this.#call = call;
    this.#key = key;
    call.on("data", (message: ProcessingRequest) => this.#read(message));
    call.on("end", () => this.#end());
    call.on("cancelled", () => this.#lose());
    call.on("error", () => this.#lose());
  }

  cut(): boolean {
    if (!this.#open) return false;
    this.#wasCut = true;
    this.#call.write(REVOKED);
    return true;
  }

  #read(message: ProcessingRequest): void {
    const { requestHeaders, responseHeaders, responseTrailers } = message;
    if (requestHeaders !== undefined) {
      this.#enter(message);
      this.#call.write({ requestHeaders: {}, ...this.#named });
    } else if (responseHeaders !== undefined) {
      this.#enter(message);
      this.#call.write({ responseHeaders: {}, ...this.#named });
    } else if (responseTrailers !== undefined) this.#call.write({ responseTrailers: {} });
  }

  get #named(): Pick<ProcessingResponse, "dynamicMetadata"> {
    return { dynamicMetadata: { [HOLD_NAMESPACE]: { id: this.#key } } };
  }

  #enter({ attributes = {}, metadataContext }: ProcessingRequest): void {
    const { book, clock, routeOf, who } = this.#deps;
    const said = attributes[ATTRIBUTES_NAMESPACE] ?? {};
    const text = (name: keyof typeof ATTRIBUTES) => textOf(said[ATTRIBUTES[name]]) ?? "";
    const shown = shownIn(metadataContext?.filterMetadata ?? {});
    const route = who.route(shown) ?? routeOf(text("cluster"));
    if (route === undefined) return;
    const headers = headersOf(said);
    const peer = text("peer")
      .replace(/:\d+$/, "")
      .replace(/^\[|\]$/g, "");
    const head: RequestHead = {
      method: text("method"),
      host: text("host").toLowerCase(),
      path: text("path"),
      ...{ peer, secure: text("scheme") === "https", header: (name) => headers[name] },
    };
    const came = {
      ...{
        kind: kindOf(head.method, headers, 0),
        peer,
        asked: { version: text("protocol").replace("HTTP/", ""), head },
        route,
      },
      ...{ session: who.session(shown), requestId: text("requestId"), startedAt: clock.now() },
    };
    book.held(this.#key, came, this);
  }

  #end(): void {
    this.#call.end();
    if (!this.#open) return;
    this.#open = false;
    this.#deps.book.ended(this.#key);
  }

  #lose(): void {
    if (!this.#open) return;
    this.#open = false;
    // Envoy answers a cut by leaving without a word.
    if (this.#wasCut) this.#deps.book.ended(this.#key);
    else this.#deps.book.lost(this.#key);
  }
}

function shownIn(metadata: Readonly<Record<string, Struct>>) {
  const {
    [FILTER.session]: jwt = {},
    [FILTER.pass]: rbac = {},
    [FILTER.known]: known = {},
    [FILTER.ask]: authz = {},
  } = metadata;
  const claims = jwt[CLAIMS];
  const { sid, iat } = isObject(claims) ? claims : {};
  const tags: Record<string, string> = {};
  const put = (tag: string, value: Json | undefined) => {
    const text = textOf(value);
    if (text !== undefined) tags[tag] = text;
  };
  put(TAGS.session, sid);
  put(TAGS.issued, iat);
  put(TAGS.policy, rbac[POLICY_KEY]);
  put(TAGS.known, known[KNOWN_KEY]);
  put(TAGS.use, authz.use);
  put(TAGS.route, authz.route);
  return { tags, claims: () => claims };
}

const HEADERS = Object.freeze({
  upgrade: "upgrade",
  "content-type": "contentType",
  traceparent: "traceparent",
} as const);

function headersOf(said: Struct): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [header, name] of Object.entries(HEADERS)) {
    const text = textOf(said[ATTRIBUTES[name]]);
    if (text !== undefined) headers[header] = text;
  }
  return headers;
}

function isObject(value: Json | undefined): value is Struct {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}
