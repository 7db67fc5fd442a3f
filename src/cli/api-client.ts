import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import type {
  API_PREFIX as ApiPrefix,
  OPERATIONS as Operations,
  AttachRequest,
  ErrorView,
  LinkView,
  LiveEvent,
  RunRequest,
  TaskView,
  TasksView,
  VersionView,
  WhoView,
} from "../api/wire.ts";
import type { DeviceAnswerView, DeviceLoginView } from "../api/wire-login.ts";
import type { AccessHistoryView, AccessView, GrantCreated, GrantRequest } from "../api/wire-access.ts";
import type {
  EndedUserView,
  SessionsView,
  SessionView,
  SigningKeysView,
  SigningKeyView,
} from "../api/wire-sessions.ts";
import type { EnvoysView } from "../api/wire-envoys.ts";
import type { ReachesView, ReachView } from "../api/wire-reaches.ts";
import type { AuditCheckView } from "../api/wire-audit.ts";
import type { TokenCreated, TokenRequest, TokensView, TokenView } from "../api/wire-tokens.ts";
import type { GateFile } from "../config/home.ts";
import type { Secret } from "../platform/secret.ts";
import { readEvents } from "./event-stream.ts";
import { CommandFailure, EXIT, type ExitCode } from "./failure.ts";
import { startRequest } from "./http-request.ts";
import { ownVersion } from "../platform/package-info.ts";
import { isElsewhere } from "./remote-gates.ts";
import { dialApi, dialHostPort, hostHeader, noAnswer } from "./running-gate.ts";

// The contract's values are spelt again here, and the compiler holds them to it: loading it would load every schema of the API, which
// takes longer than all else of a call.
const API_PREFIX: typeof ApiPrefix = "/.taskgate/api/v1";
const OPERATIONS = {
  version: "GET /version",
  listTasks: "GET /tasks",
  runTask: "POST /tasks",
  attachTask: "POST /attach",
  showTask: "GET /tasks/{task}",
  stopTask: "POST /tasks/{task}/stop",
  restartTask: "POST /tasks/{task}/restart",
  removeTask: "DELETE /tasks/{task}",
  taskLogs: "GET /tasks/{task}/logs",
  showAccess: "GET /tasks/{task}/access",
  showServiceAccess: "GET /tasks/{task}/services/{service}/access",
  shareTask: "POST /tasks/{task}/access",
  removeGrant: "DELETE /tasks/{task}/access/{grant}",
  accessHistory: "GET /tasks/{task}/access/history",
  listTokens: "GET /tokens",
  createToken: "POST /tokens",
  revokeToken: "DELETE /tokens/{id}",
  createLink: "POST /links",
  whoAmI: "GET /login",
  beginDevice: "POST /login/device",
  pollDevice: "POST /login/device/poll",
  events: "GET /events",
  readAudit: "GET /audit",
  checkAudit: "GET /audit/check",
  listSessions: "GET /sessions",
  endSession: "DELETE /sessions/{id}",
  endUser: "POST /sessions/end",
  listKeys: "GET /keys",
  rotateKeys: "POST /keys/rotate",
  listEnvoys: "GET /envoys",
  listReaches: "GET /reaches",
} as const satisfies Partial<typeof Operations>;

/** For an answer that needs no work. */
const ANSWER_MS = 30_000;
/** Stopping and removing wait for the task's own grace, which config bounds. */
const STOP_MS = 600_000;
/** A log may be of gigabytes. */
const CHECK_MS = 3_600_000;

export interface LogOptions {
  readonly follow: boolean;
  /** Lines; absent: all that is kept. */
  readonly tail?: number;
  readonly replica?: string;
}

/** The gate's API, one method per operation. All throw `CommandFailure`; an abort throws the signal's reason. */
export interface ApiClient {
  readonly gate: GateFile;
  version(signal: AbortSignal): Promise<VersionView>;
  tasks(signal: AbortSignal): Promise<TasksView>;
  task(task: string, signal: AbortSignal): Promise<TaskView>;
  run(request: RunRequest, signal: AbortSignal): Promise<TaskView>;
  attach(request: AttachRequest, signal: AbortSignal): Promise<TaskView>;
  stop(task: string, signal: AbortSignal): Promise<TaskView>;
  restart(task: string, signal: AbortSignal): Promise<TaskView>;
  remove(task: string, signal: AbortSignal): Promise<undefined>;
  /** Text as it comes. Whoever calls reads or destroys it. */
  logs(task: string, options: LogOptions, signal: AbortSignal): Promise<IncomingMessage>;
  /** Who may use a task, or one service of it. */
  access(task: string, service: string | undefined, signal: AbortSignal): Promise<AccessView>;
  share(task: string, request: GrantRequest, signal: AbortSignal): Promise<GrantCreated>;
  removeGrant(task: string, grant: string, signal: AbortSignal): Promise<undefined>;
  accessHistory(task: string, signal: AbortSignal): Promise<AccessHistoryView>;
  tokens(signal: AbortSignal): Promise<readonly TokenView[]>;
  createToken(request: TokenRequest, signal: AbortSignal): Promise<TokenCreated>;
  revokeToken(id: string, signal: AbortSignal): Promise<undefined>;
  sessions(signal: AbortSignal): Promise<readonly SessionView[]>;
  endSession(id: string, signal: AbortSignal): Promise<undefined>;
  /** `user`: [REALM/]NAME. */
  endUser(user: string, signal: AbortSignal): Promise<EndedUserView>;
  keys(signal: AbortSignal): Promise<readonly SigningKeyView[]>;
  rotateKeys(signal: AbortSignal): Promise<readonly SigningKeyView[]>;
  envoys(signal: AbortSignal): Promise<EnvoysView>;
  reaches(signal: AbortSignal): Promise<readonly ReachView[]>;
  /** Lines of JSON as they come. Whoever calls reads or destroys it. */
  audit(query: Readonly<Record<string, string>>, signal: AbortSignal): Promise<IncomingMessage>;
  /** Takes as long as reading all of the log. */
  checkAudit(signal: AbortSignal): Promise<AuditCheckView>;
  /** `to`: a URL on a host of the gate, where the login goes on to. */
  link(to: string | undefined, signal: AbortSignal): Promise<LinkView>;
  whoAmI(signal: AbortSignal): Promise<WhoView>;
  /** Needs no login; `client`: the name of this machine. */
  beginDevice(client: string, signal: AbortSignal): Promise<DeviceLoginView>;
  /** Needs no login. */
  pollDevice(deviceCode: string, signal: AbortSignal): Promise<DeviceAnswerView>;
  /** Ends when the gate does. */
  events(signal: AbortSignal): AsyncGenerator<LiveEvent>;
}

interface Call {
  readonly operation: keyof typeof OPERATIONS;
  /** `{task}`, `{id}` and what else is in the path, in order. */
  readonly in?: string | readonly string[];
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

/** A client of one gate with one login. No connection is kept, so nothing is to be closed. */
export function createApiClient(deps: { readonly gate: GateFile; readonly token: Secret | null }): ApiClient {
  const stream = (call: Call, signal: AbortSignal): Promise<IncomingMessage> => answer(deps, call, signal);
  const json = async <T>(call: Call, signal: AbortSignal): Promise<T> => {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(call.timeoutMs ?? ANSWER_MS)]);
    try {
      return parseJson(deps.gate, await text(await answer(deps, call, limited))) as T;
    } catch (error) {
      throw translateFailure(error, deps.gate, signal);
    }
  };
  return {
    gate: deps.gate,
    version: (signal) => json({ operation: "version" }, signal),
    tasks: (signal) => json({ operation: "listTasks" }, signal),
    task: (task, signal) => json({ operation: "showTask", in: task }, signal),
    run: (body, signal) => json({ operation: "runTask", body }, signal),
    attach: (body, signal) => json({ operation: "attachTask", body }, signal),
    stop: (task, signal) => json({ operation: "stopTask", in: task, timeoutMs: STOP_MS }, signal),
    restart: (task, signal) => json({ operation: "restartTask", in: task, timeoutMs: STOP_MS }, signal),
    remove: (task, signal) => json({ operation: "removeTask", in: task, timeoutMs: STOP_MS }, signal),
    logs: (task, options, signal) => stream({ operation: "taskLogs", in: task, query: logQuery(options) }, signal),
    audit: (query, signal) => stream({ operation: "readAudit", query }, signal),
    checkAudit: (signal) => json({ operation: "checkAudit", timeoutMs: CHECK_MS }, signal),
    access: (task, service, signal) =>
      service === undefined
        ? json({ operation: "showAccess", in: task }, signal)
        : json({ operation: "showServiceAccess", in: [task, service] }, signal),
    share: (task, body, signal) => json({ operation: "shareTask", in: task, body }, signal),
    removeGrant: (task, grant, signal) => json({ operation: "removeGrant", in: [task, grant] }, signal),
    accessHistory: (task, signal) => json({ operation: "accessHistory", in: task }, signal),
    tokens: async (signal) => (await json<TokensView>({ operation: "listTokens" }, signal)).tokens,
    createToken: (body, signal) => json({ operation: "createToken", body }, signal),
    revokeToken: (id, signal) => json({ operation: "revokeToken", in: id }, signal),
    sessions: async (signal) => (await json<SessionsView>({ operation: "listSessions" }, signal)).sessions,
    endSession: (id, signal) => json({ operation: "endSession", in: id }, signal),
    endUser: (user, signal) => json({ operation: "endUser", body: { user } }, signal),
    keys: async (signal) => (await json<SigningKeysView>({ operation: "listKeys" }, signal)).keys,
    envoys: (signal) => json({ operation: "listEnvoys" }, signal),
    reaches: async (signal) => (await json<ReachesView>({ operation: "listReaches" }, signal)).reaches,
    rotateKeys: async (signal) => (await json<SigningKeysView>({ operation: "rotateKeys" }, signal)).keys,
    link: (to, signal) => json({ operation: "createLink", body: to === undefined ? {} : { to } }, signal),
    whoAmI: (signal) => json({ operation: "whoAmI" }, signal),
    beginDevice: (client, signal) => json({ operation: "beginDevice", body: { client } }, signal),
    pollDevice: (deviceCode, signal) => json({ operation: "pollDevice", body: { deviceCode } }, signal),
    async *events(signal) {
      try {
        yield* readEvents(await stream({ operation: "events" }, signal));
      } catch (error) {
        throw translateFailure(error, deps.gate, signal);
      }
    },
  };
}

function logQuery(options: LogOptions): Record<string, string> {
  return {
    ...(options.follow ? { follow: "true" } : {}),
    ...(options.tail === undefined ? {} : { tail: String(options.tail) }),
    ...(options.replica === undefined ? {} : { replica: options.replica }),
  };
}

type Connection = Parameters<typeof createApiClient>[0];

/** Resolves with a good answer's head; its body is still to be read. */
async function answer(connection: Connection, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const { gate } = connection;
  try {
    const response = await send(connection, call, signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    throw refusal(gate, status, await text(response));
  } catch (error) {
    throw translateFailure(error, gate, signal);
  }
}

function send(connection: Connection, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
  const { gate, token } = connection;
  const [method = "GET", path = "/"] = OPERATIONS[call.operation].split(" ");
  const parts = [call.in ?? []].flat();
  const query = new URLSearchParams(call.query).toString();
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const dialled = dialApi(gate);
  const options = {
    method,
    ...dialled.options,
    path: `${API_PREFIX}${path.replace(/\{\w+\}/g, () => encodeURIComponent(parts.shift() ?? ""))}${query === "" ? "" : `?${query}`}`,
    headers: {
      host: hostHeader(gate, gate.gateHost),
      ...(token === null ? {} : { authorization: `Bearer ${token.reveal()}` }),
      accept: "application/json, text/event-stream, text/plain",
      ...(body === undefined
        ? {}
        : { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)) }),
    },
    agent: false,
    signal,
  };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sent = startRequest(options, dialled.secure);
  const headTimer = setTimeout(
    () => sent.destroy(new DOMException("no answer", "TimeoutError")),
    call.timeoutMs ?? ANSWER_MS,
  );
  sent.on("response", resolve);
  sent.on("error", reject);
  sent.on("close", () => clearTimeout(headTimer));
  sent.on("response", () => clearTimeout(headTimer));
  sent.end(body);
  return promise;
}

function parseJson(gate: GateFile, body: string): unknown {
  if (body === "") return undefined;
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new CommandFailure(EXIT.failure, `the gate at ${dialHostPort(gate)} answered something that is no JSON`, {
      remedy: versionRemedy(gate) ?? "taskgate doctor",
      cause,
    });
  }
}

const EXIT_BY_STATUS: Readonly<Record<number, ExitCode>> = { 401: EXIT.denied, 403: EXIT.denied, 404: EXIT.notFound };

function refusal(gate: GateFile, status: number, body: string): CommandFailure {
  const exitCode = EXIT_BY_STATUS[status] ?? EXIT.failure;
  const said = errorOf(body);
  const message = said?.message ?? `the gate answered ${status}`;
  const remedy =
    status === 401
      ? isElsewhere(gate)
        ? `taskgate login ${gate.url}`
        : "taskgate doctor: it checks the token (TASKGATE_TOKEN, else the file in the state folder)"
      : said === null || status === 400
        ? versionRemedy(gate)
        : undefined;
  return new CommandFailure(exitCode, message, remedy === undefined ? {} : { remedy });
}

function errorOf(body: string): ErrorView["error"] | null {
  try {
    const parsed = JSON.parse(body) as Partial<ErrorView> | null;
    return typeof parsed?.error?.message === "string" ? parsed.error : null;
  } catch {
    // A page of something else that listens there: its text is of no use to anyone.
    return null;
  }
}

/** What to do where the running gate is of another version; undefined where it is not. */
function versionRemedy(gate: GateFile): string | undefined {
  const own = ownVersion();
  if (gate.version === own || isElsewhere(gate)) return undefined;
  return `the running gate is taskgate ${gate.version}, this is ${own}; restart it: taskgate stop --gate && taskgate up --background`;
}

function translateFailure(error: unknown, gate: GateFile, signal: AbortSignal): unknown {
  if (error instanceof CommandFailure) return error;
  return signal.aborted ? signal.reason : noAnswer(gate, error);
}
