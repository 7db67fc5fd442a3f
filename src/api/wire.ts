import { z } from "zod";

/** What the API says and takes: the one contract between the gate and its clients (command line, page, scripts). */

export const API_PREFIX = "/.taskgate/api/v1";

/**
 * Every operation, under the prefix. `{task}` is a task's name or its `PROVIDER/TASK`, percent-encoded; `{id}` a token's. Failures are
 * an `ErrorView` with the code's status.
 */
export const OPERATIONS = {
  version: "GET /version", //                 → VersionView
  listTasks: "GET /tasks", //                 → TasksView
  runTask: "POST /tasks", //        RunRequest → 201 TaskView, as soon as it is accepted
  attachTask: "POST /attach", //  AttachRequest → 201 TaskView
  showTask: "GET /tasks/{task}", //           → TaskView
  stopTask: "POST /tasks/{task}/stop", //     → TaskView, once it has ended
  showAccess: "GET /tasks/{task}/access", //           → AccessView
  shareTask: "POST /tasks/{task}/access", // GrantRequest → 201 GrantCreated
  replaceAccess: "PUT /tasks/{task}/access", // AccessRequest → AccessView; links stay
  unshareTask: "DELETE /tasks/{task}/access", //       → 204; everything, links too
  removeGrant: "DELETE /tasks/{task}/access/{grant}", // → 204
  accessHistory: "GET /tasks/{task}/access/history", // → AccessHistoryView
  showServiceAccess: "GET /tasks/{task}/services/{service}/access", // the same of one service
  shareService: "POST /tasks/{task}/services/{service}/access",
  replaceServiceAccess: "PUT /tasks/{task}/services/{service}/access",
  unshareService: "DELETE /tasks/{task}/services/{service}/access",
  restartTask: "POST /tasks/{task}/restart", // → TaskView, as soon as it is accepted
  removeTask: "DELETE /tasks/{task}", //      → 204; stops it first where it runs
  taskLogs: "GET /tasks/{task}/logs", // ?follow=true&tail=N&replica=R → text/plain, as it comes
  listProblems: "GET /problems", //           → ProblemsView
  listTokens: "GET /tokens", //               → TokensView
  createToken: "POST /tokens", //  TokenRequest → 201 TokenCreated
  revokeToken: "DELETE /tokens/{id}", //      → 204
  createLink: "POST /links", //     LinkRequest → 201 LinkView
  redeemLink: "POST /links/redeem", // SharedLinkRequest → SharedLinkView; needs no login
  redeemCode: "POST /login", //   RedeemRequest → LoginView; needs no login
  whoAmI: "GET /login", //                    → WhoView
  logout: "DELETE /login", //                 → 204, or LogoutView where the provider's page is to end its login, too
  loginMethods: "GET /login/methods", //      → LoginMethodsView; needs no login, as all of these up to device/poll
  beginLogin: "POST /login/methods/{method}/begin", // → BegunLoginView
  completeLogin: "POST /login/methods/{method}/complete", // CompleteLoginRequest → LoginView
  passwordLogin: "POST /login/methods/{method}/password", // PasswordLoginRequest → LoginView
  headerLogin: "POST /login/methods/{method}/header", // → LoginView
  beginDevice: "POST /login/device", // DeviceRequest → 201 DeviceLoginView
  pollDevice: "POST /login/device/poll", // DevicePollRequest → DeviceAnswerView
  showDevice: "POST /login/device/show", // UserCodeRequest → DeviceView
  answerDevice: "POST /login/device/answer", // DeviceDecision → 204
  visit: "POST /visits", //        VisitRequest → VisitView
  events: "GET /events", //                   → server-sent LiveEvents
  readAudit: "GET /audit", // ?user=&task=&service=&kind=&outcome=&since=&until=&follow=true → lines of JSON
  checkAudit: "GET /audit/check", //          → AuditCheckView; administrators alone
  listSessions: "GET /sessions", //           → SessionsView
  endSession: "DELETE /sessions/{id}", //     → 204
  endUser: "POST /sessions/end", // EndUserRequest → EndedUserView
  listKeys: "GET /keys", //                   → SigningKeysView; administrators alone, as the next
  rotateKeys: "POST /keys/rotate", //         → SigningKeysView
  listEnvoys: "GET /envoys", //               → EnvoysView; administrators alone, as the next
  listReaches: "GET /reaches", //             → ReachesView
  openapi: "GET /openapi.json",
} as const;

const Anyone = z.enum(["nobody", "authenticated", "public"]);
const Protocol = z.enum(["http", "grpc", "tcp", "tls"]);
const Name = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/, {
  error: "expected lower-case letters, digits and dashes, 40 at most, such as my-notebook",
});
const ServiceName = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, {
  error: "expected lower-case letters, digits and dashes, 32 at most, such as web",
});
/** Shown in lists and on pages, so nothing that steers a terminal or turns text around: the table takes no task with such a kind. */
const Kind = z
  .string()
  .max(40)
  .regex(/^[^\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069\ufeff]+$/u, {
    error: "expected one line of text, such as notebook",
  });
const Port = z.int().min(1).max(65_535);

export const ProblemView = z
  .strictObject({
    subject: z.string(),
    code: z.string(),
    message: z.string(),
    since: z.number().optional().describe("Epoch ms since when it is so, where that is known."),
  })
  .meta({ id: "ProblemView" });
export type ProblemView = z.output<typeof ProblemView>;

export const ServiceView = z
  .strictObject({
    name: z.string(),
    protocol: Protocol,
    url: z
      .string()
      .nullable()
      .describe("Opens in a browser; tcp://HOST:PORT for a raw TCP port; null where only `taskgate forward` leads."),
    host: z.string().nullable().describe("The Host header without port, or the address of a raw TCP port."),
    port: z.number().nullable().describe("What to dial."),
    dial: z
      .string()
      .nullable()
      .describe("The address to dial with that port, for programs that do not resolve the host."),
    forward: z
      .string()
      .nullable()
      .describe("The host to CONNECT to through the gate's own port: what `taskgate forward` does."),
    health: z.enum(["unknown", "healthy", "unhealthy"]),
    anyone: Anyone.describe("Who may come in beside the owner, administrators and grants."),
    login: z.boolean().describe("false: whoever reaches it is in."),
    sharedWith: z
      .array(z.string())
      .describe("Users, groups and links that may come in; told to those alone who may change it."),
    replicas: z.array(z.strictObject({ replica: z.string(), health: z.string(), url: z.string().nullable() })),
  })
  .meta({ id: "ServiceView" });
export type ServiceView = z.output<typeof ServiceView>;

export const TaskView = z
  .strictObject({
    name: z.string(),
    id: z.string().describe("PROVIDER/TASK."),
    provider: z.string(),
    kind: z.string(),
    owner: z.string().nullable(),
    state: z.enum(["starting", "running", "stopping", "finished", "failed"]),
    reason: z.string().nullable(),
    startedAt: z.number().nullable().describe("Epoch ms."),
    staleSince: z
      .number()
      .nullable()
      .describe("Epoch ms since when its provider fails: this is what was last known. null: it is up to date."),
    controllable: z.boolean().describe("The gate runs it: it can be stopped, and has logs."),
    manageable: z.boolean().describe("You may act on it and share it. If not, it is shared with you: you may use it."),
    removable: z.boolean().describe("It can be removed; so can a port that was taken in, which only forgets it."),
    services: z.array(ServiceView),
    problems: z.array(ProblemView),
  })
  .meta({ id: "TaskView" });
export type TaskView = z.output<typeof TaskView>;

export const TasksView = z
  .strictObject({
    tasks: z.array(TaskView),
    problems: z.array(ProblemView).describe("Of sources and of what belongs to no task; a task's own are in the task."),
  })
  .meta({ id: "TasksView" });
export type TasksView = z.output<typeof TasksView>;

export const ProblemsView = z
  .strictObject({
    problems: z.array(ProblemView).describe("All of them, those of tasks included."),
  })
  .meta({ id: "ProblemsView" });
export type ProblemsView = z.output<typeof ProblemsView>;

/** No operating system takes a NUL in an argument, a variable or a path. */
const Text = z.string().regex(/^[^\0]*$/, { error: "expected text without NUL characters" });
const VariableName = z.string().regex(/^[^=\0]+$/, { error: "expected a variable's name, without = and NUL" });

export const RunRequest = z
  .strictObject({
    name: Name.optional(),
    kind: Kind.optional(),
    command: z.array(Text).min(1).max(4096),
    directory: Text.startsWith("/"),
    environment: z.record(VariableName, Text),
    services: z
      .array(z.strictObject({ name: ServiceName, protocol: Protocol, port: Port.optional() }))
      .max(32)
      .default([]),
    replicas: z.int().min(1).max(64).default(1),
    restart: z.enum(["no", "on-failure", "always"]).default("no"),
    idleStop: z
      .string()
      .regex(/^(never|\d{1,9}(ms|s|m|h|d))$/, { error: "expected a duration such as 2h, or never" })
      .optional()
      .describe("How long nobody may use it before it is stopped. Absent: as configured (cull.after)."),
    policy: z
      .strictObject({
        authorization: z.enum(["gate", "app"]).optional(),
        assertion: z.enum(["none", "session", "fresh"]).optional(),
        frame: z
          .string()
          .regex(/^(app|self|none|any|https?:\/\/[^\s;,]{1,255}( https?:\/\/[^\s;,]{1,255}){0,15})$/, {
            error: "expected app, self, none, any, or origins",
          })
          .optional(),
        allowedOrigins: z
          .array(z.string().regex(/^https?:\/\/[^/\s?#@\\"<>]{1,255}$/, { error: "expected an origin" }))
          .max(32)
          .optional(),
      })
      .optional()
      .describe("How its services are treated: see docs/identity.md."),
    anyone: Anyone.default("nobody"),
    path: z
      .string()
      .regex(/^\/[A-Za-z0-9._~-]+(\/[A-Za-z0-9._~-]+)*\/$/, { error: "expected a path such as /nb/" })
      .optional(),
    user: z
      .string()
      .regex(/^[a-z_][a-z0-9_-]{0,31}$/)
      .optional(),
  })
  .meta({ id: "RunRequest" });
export type RunRequest = z.output<typeof RunRequest>;

export const AttachRequest = z
  .strictObject({
    name: Name.optional(),
    kind: Kind.optional(),
    port: Port,
    protocol: Protocol.optional(),
    anyone: Anyone.default("nobody"),
    path: RunRequest.shape.path,
  })
  .meta({ id: "AttachRequest" });
export type AttachRequest = z.output<typeof AttachRequest>;

/** A one-time code of a printed link, for a login of this browser. */
export const RedeemRequest = z.strictObject({ code: z.string().min(1).max(200) }).meta({ id: "RedeemRequest" });
export type RedeemRequest = z.output<typeof RedeemRequest>;
export const LoginView = z
  .strictObject({ token: z.string(), expiresAt: z.number(), realm: z.string(), principal: z.string() })
  .meta({ id: "LoginView" });
export type LoginView = z.output<typeof LoginView>;

/** Whose login this is. */
export const WhoView = z
  .strictObject({ realm: z.string(), name: z.string(), admin: z.boolean() })
  .meta({ id: "WhoView" });
export type WhoView = z.output<typeof WhoView>;

export const LinkRequest = z
  .strictObject({
    to: z.string().max(8192).optional().describe("Where to go on to after login: a URL on a host of this gate."),
  })
  .meta({ id: "LinkRequest" });
export type LinkRequest = z.output<typeof LinkRequest>;

/** A login link for a browser. */
export const LinkView = z.strictObject({ url: z.string(), expiresAt: z.number() }).meta({ id: "LinkView" });
export type LinkView = z.output<typeof LinkView>;

/** From the login page: this visitor wants to go on to a service's host. */
export const VisitRequest = z
  .strictObject({
    host: z.string().min(1).max(300).describe("Host header of the service's host, with port."),
    state: z.string().min(1).max(100).describe("Hash of the state that the service's host gave this browser."),
    path: z.string().startsWith("/").max(8192).describe("The deep link to come back to: path and query."),
  })
  .meta({ id: "VisitRequest" });
export type VisitRequest = z.output<typeof VisitRequest>;
export const VisitView = z.strictObject({ location: z.string() }).meta({ id: "VisitView" });
export type VisitView = z.output<typeof VisitView>;

export const VersionView = z
  .strictObject({
    version: z.string(),
    url: z.string().describe("The gate's own page."),
    domain: z.string(),
    dataPlane: z.string(),
    startedAt: z.number(),
    revision: z.number(),
  })
  .meta({ id: "VersionView" });
export type VersionView = z.output<typeof VersionView>;

export const ErrorView = z
  .strictObject({ error: z.strictObject({ code: z.string(), message: z.string() }) })
  .meta({ id: "ErrorView" });
export type ErrorView = z.output<typeof ErrorView>;

/** One event of `GET /events` (server-sent events; `event:` is the kind, `data:` this as JSON). The first is `tasks`. */
export type LiveEvent =
  | { readonly kind: "tasks"; readonly tasks: readonly TaskView[]; readonly problems: readonly ProblemView[] }
  | {
      readonly kind: "change";
      readonly set: readonly TaskView[];
      readonly removed: readonly string[];
      readonly problems: readonly ProblemView[];
    };
