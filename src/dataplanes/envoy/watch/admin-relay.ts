import grpc, { type ServerDuplexStream } from "@grpc/grpc-js";
import type { Clock } from "../../../platform/clock.ts";
import { failCall, peerOf } from "../grpc-server.ts";
import type { AdminAnswer, AskAdmin } from "../local/ask-admin.ts";
import type { HeaderValue } from "../proto/tables/core.ts";
import type { ProcessingRequest, ProcessingResponse } from "../proto/tables/ext-proc.ts";
import { RELAY_FIELD, RELAY_HEADERS } from "../relay-bootstrap.ts";
import type { Admit } from "../xds/ads-stream.ts";

/** An Envoy that is not asked anything asks again after so long: a call of its own, so it should not be often. */
const IDLE_MS = 5000;
/** One that came for no question for so long is gone. */
const GONE_MS = 15_000;
/** From the question to the answer. */
const ANSWER_MS = 10_000;
const MAX_ENVOYS = 1024;

const NOTHING: ProcessingResponse = Object.freeze({ immediateResponse: { status: { code: "OK" } } } as const);

type Call = ServerDuplexStream<ProcessingRequest, ProcessingResponse>;

export interface AdminRelayDeps {
  readonly admit: Admit;
  /** An Envoy can be asked from now on, until what is returned is disposed of. */
  readonly came: (envoy: string, ask: AskAdmin) => AsyncDisposable;
  readonly clock: Clock;
}

interface Question {
  readonly path: string;
  answer(answer: AdminAnswer): void;
  fail(error: Error): void;
}

/**
 * Asks the admins of Envoys elsewhere, by the calls in which these come for questions (`relay-bootstrap.ts`). Disposing forgets them all.
 */
export class AdminRelay implements AsyncDisposable {
  readonly #deps: AdminRelayDeps;
  readonly #envoys = new Map<string, RelayedEnvoy>();

  constructor(deps: AdminRelayDeps) {
    this.#deps = deps;
  }

  /** Whether this call of ext_proc is one that comes for a question. */
  static isOf(call: Pick<Call, "metadata">): boolean {
    return call.metadata.get(RELAY_FIELD).length > 0;
  }

  open(call: Call): void {
    let comer: Comer | null = null;
    call.on("data", ({ requestHeaders, responseBody }: ProcessingRequest) => {
      if (requestHeaders !== undefined && comer === null)
        comer = this.#enter(call, requestHeaders.headers?.headers ?? []);
      else if (responseBody !== undefined) {
        comer?.answered(Buffer.from(responseBody.body ?? []).toString());
        call.write({ responseBody: {} });
      }
    });
    call.on("end", () => call.end());
    for (const end of ["end", "cancelled", "error"]) call.on(end, () => comer?.left());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#envoys.values()].map((envoy) => envoy[Symbol.asyncDispose]()));
  }

  #enter(call: Call, headers: readonly HeaderValue[]): Comer | null {
    const said = (name: string) => Buffer.from(headers.find(({ key }) => key === name)?.rawValue ?? []).toString();
    const [id, cluster] = [said(RELAY_HEADERS.node), said(RELAY_HEADERS.fleet)];
    const admission = this.#deps.admit({ id, cluster, version: "" }, peerOf(call));
    if ("refused" in admission || id === "" || this.#envoys.size >= MAX_ENVOYS) {
      failCall(call, grpc.status.PERMISSION_DENIED, "refused" in admission ? admission.message : "there are too many");
      return null;
    }
    let envoy = this.#envoys.get(id);
    if (envoy === undefined) {
      envoy = new RelayedEnvoy({ ...this.#deps, id, gone: () => this.#envoys.delete(id) });
      this.#envoys.set(id, envoy);
    }
    return envoy.enter((response) => call.write(response));
  }
}

/** A call that came for a question: waits for one → has one → left. */
class Comer {
  readonly #envoy: RelayedEnvoy;
  readonly #write: (response: ProcessingResponse) => void;
  readonly #idle: Disposable;
  #question: Question | null = null;

  constructor(envoy: RelayedEnvoy, write: (response: ProcessingResponse) => void, clock: Clock) {
    this.#envoy = envoy;
    this.#write = write;
    this.#idle = clock.after(IDLE_MS, () => {
      this.#envoy.leave(this);
      this.#write(NOTHING);
    });
  }

  ask(question: Question): void {
    this.#idle[Symbol.dispose]();
    this.#question = question;
    const header = { key: ":path", rawValue: Buffer.from(question.path) };
    const setHeaders = [{ header, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" as const }];
    this.#write({ requestHeaders: { response: { clearRouteCache: true, headerMutation: { setHeaders } } } });
  }

  answered(body: string): void {
    this.#question?.answer({ status: 200, body });
  }

  left(): void {
    this.#idle[Symbol.dispose]();
    this.#envoy.leave(this);
    this.#question?.fail(new Error("Envoy left without an answer"));
  }
}

/** One Envoy that comes for questions. */
class RelayedEnvoy implements AsyncDisposable {
  readonly #deps: Pick<AdminRelayDeps, "clock"> & { readonly gone: () => void };
  readonly #asked: AsyncDisposable;
  readonly #comers = new Set<Comer>();
  /** All that have no answer. */
  readonly #questions = new Set<Question>();
  /** Those that no call was there for yet. */
  readonly #waiting = new Set<Question>();
  #gone: Disposable | null = null;

  constructor(deps: Pick<AdminRelayDeps, "clock" | "came"> & { readonly id: string; readonly gone: () => void }) {
    this.#deps = deps;
    this.#asked = deps.came(deps.id, (path) => this.#ask(path));
  }

  enter(write: (response: ProcessingResponse) => void): Comer {
    const { clock } = this.#deps;
    this.#gone?.[Symbol.dispose]();
    this.#gone = clock.after(GONE_MS, () => void this[Symbol.asyncDispose]());
    const comer = new Comer(this, write, clock);
    this.#comers.add(comer);
    this.#pair();
    return comer;
  }

  leave(comer: Comer): void {
    this.#comers.delete(comer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#gone?.[Symbol.dispose]();
    this.#deps.gone();
    const forgotten = this.#asked[Symbol.asyncDispose]();
    for (const question of this.#questions) question.fail(new Error("Envoy is gone"));
    await forgotten;
  }

  #ask(path: string): Promise<AdminAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<AdminAnswer>();
    const timer = this.#deps.clock.after(ANSWER_MS, () => question.fail(new Error("Envoy does not answer in time")));
    const over = (): void => {
      timer[Symbol.dispose]();
      this.#questions.delete(question);
      this.#waiting.delete(question);
    };
    const question: Question = {
      path,
      answer(answer) {
        over();
        resolve(answer);
      },
      fail(error) {
        over();
        reject(error);
      },
    };
    this.#questions.add(question);
    this.#waiting.add(question);
    this.#pair();
    return promise;
  }

  #pair(): void {
    const [question] = this.#waiting;
    const [comer] = this.#comers;
    if (question === undefined || comer === undefined) return;
    this.#waiting.delete(question);
    this.#comers.delete(comer);
    comer.ask(question);
  }
}
