import { Agent as PlainAgent, type ClientRequest, request as plainRequest, type IncomingMessage } from "node:http";
import { Agent as TlsAgent, request as tlsRequest, type RequestOptions } from "node:https";
import { WebSocket } from "ws";
import { GatewayError } from "../../model/index.ts";
import type { KubernetesBounds } from "./bounds.ts";
import type { Cluster } from "./cluster.ts";
import type { Credential } from "./credentials.ts";
import { KubernetesError, statusError } from "./kubernetes-error.ts";

/** One request. `path` is below the server's own. */
export interface Asked {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: { readonly type: string; readonly json: unknown };
  /** What is wanted, as HTTP's Accept. Default: the object itself, as JSON. */
  readonly accept?: string;
}

interface How {
  readonly agent: PlainAgent;
  readonly signal: AbortSignal;
  readonly credential: Credential;
}

/** Errors by which a connection was never there: the server has done nothing. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "ENOENT"]);
const MOST_REFUSAL_BYTES = 64 * 1024;
/** Largest message of a WebSocket, and how long its end may take. */
const MOST_MESSAGE_BYTES = 1024 * 1024;
const CLOSE_MS = 2000;
const PROTOCOL_HEADER = "sec-websocket-protocol";

/** Connections to one API server, kept open for the calls that follow. TLS is checked for every one; redirects are not followed. */
export class Connection implements Disposable {
  readonly #cluster: Cluster;
  readonly #bounds: KubernetesBounds;
  /** Connections are told apart by what they show and believe, so that a new certificate never travels on an old one's. */
  readonly #calls: PlainAgent;
  /** A watch is alone on its connection, which ends with it. */
  readonly #streams: PlainAgent;

  constructor(cluster: Cluster, bounds: KubernetesBounds) {
    this.#cluster = cluster;
    this.#bounds = bounds;
    const Agent = cluster.server.protocol === "http:" ? PlainAgent : TlsAgent;
    this.#calls = new Agent({
      keepAlive: true,
      keepAliveMsecs: 15_000,
      maxSockets: bounds.connections,
      timeout: bounds.idleMs,
      scheduling: "lifo",
    });
    this.#streams = new Agent({ keepAlive: false });
  }

  /** The JSON of the answer. Throws KubernetesError, and what the signal was aborted with. */
  async call(asked: Asked, signal: AbortSignal): Promise<unknown> {
    return await this.#within(asked, { ms: this.#bounds.callMs, signal }, async (within) => {
      const answer = await this.#ask(asked, this.#calls, within);
      return parseJson(await readBody(answer, this.#bounds.answerBytes, asked), asked);
    });
  }

  /** The answer as it comes in; whoever gets it ends it by the signal. Throws like `call`, until it begins. */
  async stream(asked: Asked, signal: AbortSignal): Promise<IncomingMessage> {
    const start = { ms: this.#bounds.watchStartMs, signal };
    return await this.#within(asked, start, (within) => this.#ask(asked, this.#streams, within));
  }

  /**
   * A WebSocket of that subprotocol, alone on its connection; whoever gets it ends it. `asked` is a GET. Throws like `call`, and where the server
   * speaks another protocol.
   */
  async webSocket(asked: Asked, protocol: string, signal: AbortSignal): Promise<WebSocket> {
    const start = { ms: this.#bounds.watchStartMs, signal };
    return await this.#within(asked, start, (within) =>
      this.#asSomebody(within, (credential) => this.#upgrade(asked, protocol, { signal: within, credential })),
    );
  }

  /** Ends every connection but those of WebSockets. */
  [Symbol.dispose](): void {
    this.#calls.destroy();
    this.#streams.destroy();
  }

  /** Does that in so much time, and says in our words why it could not. */
  async #within<T>(
    asked: Asked,
    { ms, signal }: { readonly ms: number; readonly signal: AbortSignal },
    work: (within: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const late = new AbortController();
    // Not AbortSignal.timeout: that goes on until its end, though the answer came long before.
    const timer = setTimeout(() => late.abort(new DOMException("no answer", "TimeoutError")), ms);
    try {
      return await work(AbortSignal.any([signal, late.signal]));
    } catch (error) {
      throw this.#told(error, asked, signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** An answer of success. */
  #ask(asked: Asked, agent: PlainAgent, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#asSomebody(signal, async (credential) => {
      const answer = await this.#send(asked, { agent, signal, credential });
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300) return answer;
      throw await refusalOf(answer, asked);
    });
  }

  /** A refused credential is looked for anew, once. */
  async #asSomebody<T>(signal: AbortSignal, ask: (credential: Credential) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const credential = await this.#cluster.credentials.get(signal);
      try {
        return await ask(credential);
      } catch (error) {
        if (!(error instanceof KubernetesError) || error.status !== 401) throw error;
        this.#cluster.credentials.refused(credential);
        if (attempt === 2) throw error;
      }
    }
  }

  async #upgrade(asked: Asked, protocol: string, { signal, credential }: Omit<How, "agent">): Promise<WebSocket> {
    const { server } = this.#cluster;
    const { path } = this.#address(asked);
    const url = `${server.protocol === "http:" ? "ws:" : "wss:"}//${server.host}${path ?? ""}`;
    const socket = new WebSocket(url, {
      headers: { ...this.#headers(credential), [PROTOCOL_HEADER]: protocol },
      ...(await this.#handshake(credential)),
      ...{ perMessageDeflate: false, maxPayload: MOST_MESSAGE_BYTES, followRedirects: false, closeTimeout: CLOSE_MS },
      // The library takes no name with a slash (RFC 6455, 4.1), as Kubernetes' are, neither from here nor from there.
      finishRequest(request: ClientRequest, opening: WebSocket) {
        request.prependListener("upgrade", ({ headers }) => {
          if (headers[PROTOCOL_HEADER] !== protocol) opening.emit("error", askedError(asked, `the server does not speak ${protocol}`, {})); // prettier-ignore
          headers[PROTOCOL_HEADER] = undefined;
        });
        request.end();
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
    if (signal.aborted) socket.terminate();
    const giveUp = (): void => socket.terminate();
    signal.addEventListener("abort", giveUp, { once: true });
    socket.on("open", () => resolve(socket));
    // Stays: what ends an open one has nobody else to hear it.
    socket.on("error", (error) => reject(signal.aborted ? (signal.reason as Error) : error));
    socket.on("unexpected-response", (_request, answer) => {
      refusalOf(answer, asked).then(reject, reject);
    });
    try {
      return await promise;
    } catch (error) {
      socket.terminate();
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async #send(asked: Asked, how: How): Promise<IncomingMessage> {
    const payload = asked.body === undefined ? undefined : Buffer.from(JSON.stringify(asked.body.json));
    const options: RequestOptions = {
      method: asked.method,
      agent: how.agent,
      signal: how.signal,
      ...this.#address(asked),
      headers: {
        accept: asked.accept ?? "application/json",
        ...(payload === undefined ? {} : { "content-type": asked.body?.type, "content-length": payload.length }),
        ...this.#headers(how.credential),
      },
      ...(await this.#handshake(how.credential)),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const request = this.#cluster.server.protocol === "http:" ? plainRequest(options) : tlsRequest(options);
    request.on("response", resolve);
    request.on("error", reject);
    // Found dead within half a minute, even where nothing is sent.
    request.on("socket", (socket) => socket.setKeepAlive(true, 15_000));
    request.end(payload);
    return await promise;
  }

  #headers({ authorization }: Credential): Readonly<Record<string, string | string[]>> {
    return {
      "user-agent": "taskgate",
      ...this.#cluster.headers,
      ...(authorization === undefined ? {} : { authorization: authorization.reveal() }),
    };
  }

  #address({ path, query }: Asked): Pick<RequestOptions, "host" | "port" | "path"> {
    const { server } = this.#cluster;
    const given = Object.entries(query ?? {}).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const search = given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`;
    return {
      host: server.hostname.replace(/^\[|\]$/g, ""),
      ...(server.port === "" ? {} : { port: Number(server.port) }),
      path: `${server.pathname.replace(/\/$/, "")}${path}${search}`,
    };
  }

  async #handshake({ certificate }: Credential): Promise<RequestOptions> {
    const { authority, serverName, insecure } = this.#cluster;
    return {
      ...(authority === null ? {} : { ca: await authority.read() }),
      ...(serverName === null ? {} : { servername: serverName }),
      ...(certificate === undefined ? {} : { cert: certificate.chain, key: certificate.key.reveal() }),
      rejectUnauthorized: !insecure,
    };
  }

  /** What is thrown for it: foreign errors in our words, and without what they may quote. */
  #told(error: unknown, asked: Asked, signal: AbortSignal): unknown {
    if (signal.aborted) return signal.reason;
    if (error instanceof GatewayError) return error;
    const failed = (message: string, undone = false) => askedError(asked, message, { cause: error, undone });
    if (!(error instanceof Error)) return failed("failed");
    if (error.name === "AbortError" || error.name === "TimeoutError") return failed("no answer in time");
    const code = "code" in error ? String(error.code) : "";
    if (!isOfTls(code)) return failed(`no connection (${code === "" ? error.message : code})`, NEVER_SENT.has(code));
    // The authorities, or what is shown, may have been renewed since they were read.
    this.#cluster.authority?.refused();
    return failed(`the server's certificate is not accepted (${code})`, true);
  }
}

function isOfTls(code: string): boolean {
  return /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH)/.test(code);
}

function askedText({ method, path }: Asked): string {
  return `${method} ${path}`;
}

function askedError(asked: Asked, message: string, more: { readonly cause?: unknown; readonly undone?: boolean }) {
  return new KubernetesError({ asked: askedText(asked), status: 0, reason: "", message, ...more });
}

async function refusalOf(answer: IncomingMessage, asked: Asked): Promise<KubernetesError> {
  const status = answer.statusCode ?? 0;
  const retryAfter = Number(answer.headers["retry-after"]);
  const body = await readBody(answer, MOST_REFUSAL_BYTES, asked)
    .then(
      (text) => parseJson(text, asked),
      () => null,
    )
    .catch(() => null);
  return statusError(askedText(asked), status, body, {
    // Priority and fairness refuse before anything is done.
    undone: status === 429,
    ...(Number.isInteger(retryAfter) && retryAfter >= 0 ? { retryAfterS: retryAfter } : {}),
  });
}

async function readBody(answer: IncomingMessage, most: number, asked: Asked): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > most) {
      answer.destroy();
      const message = `the answer is larger than ${String(most)} bytes`;
      throw new KubernetesError({ asked: askedText(asked), status: 0, reason: "", message, code: "too_large" });
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces, bytes).toString("utf8");
}

function parseJson(text: string, asked: Asked): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without its cause, which quotes the answer.
    throw askedError(asked, "the answer is no JSON", {});
  }
}
