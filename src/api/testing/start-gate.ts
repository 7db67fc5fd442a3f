import { mkdtemp, rm } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { startAudit, type Audit } from "../../audit/audit.ts";
import { startAuth, type Auth } from "../../auth/auth.ts";
import { createSealer, SEALER_KEY_BYTES } from "../../auth/sealer.ts";
import { AuditConfig } from "../../config/audit-config.ts";
import { LoginConfig } from "../../config/schema.ts";
import { createTableState } from "../../core/create-table-state.ts";
import type { TableState } from "../../core/table-state.ts";
import { type SharedTasks, shareTasks } from "../../app/share-tasks.ts";
import type { Ceiling } from "../../core/access-ceiling.ts";
import type { PlaneStatus } from "../../dataplanes/dataplane.ts";
import { matchKey, type Principal, type ReachReport, type Site, type SourceUpdate } from "../../model/index.ts";
import { systemClock as clock } from "../../platform/clock.ts";
import { silentLogger as logger } from "../../platform/logger.ts";
import { startEmbeddedStore } from "../../store/embedded/embedded-store.ts";
import { createApi } from "../app.ts";
import { loadPages } from "../pages.ts";
import { startApiServer } from "../server.ts";
import { createTaskDirectory, type TaskDirectory } from "../task-directory.ts";
import { askSocket, type Ask } from "./ask-socket.ts";
import { ScriptedProvider } from "./scripted-provider.ts";
import { OWNER } from "./web-task.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  json<T>(): T;
}

/** The API of a gate without a data plane: real table, login, store and socket; one provider that does what it is told. */
export interface TestGate extends AsyncDisposable {
  readonly state: TableState;
  readonly directory: TaskDirectory;
  readonly provider: ScriptedProvider;
  readonly auth: Auth;
  readonly site: Site;
  readonly socketPath: string;
  /** The owner's. */
  readonly token: string;
  tokenOf(principal: Principal): Promise<string>;
  publish(source: string, update: SourceUpdate): void;
  setPlane(status: Partial<PlaneStatus>): void;
  setReaches(reports: readonly ReachReport[]): void;
  /** A whole answer. With the owner's token unless another is given. */
  ask(path: string, ask?: Ask): Promise<Answer>;
  /** An answer that goes on. Destroying it is leaving. */
  open(path: string, ask?: Ask): Promise<IncomingMessage>;
}

export const UI_FOLDER = join(import.meta.dirname, "../../../ui");

export function siteAt(port: number): Site {
  const domain = "localhost";
  return {
    domain,
    gateHost: "taskgate.localhost",
    pathHost: "paths.localhost",
    secure: false,
    port,
    dial: "127.0.0.1",
  };
}

/** A table with no tasks. */
export function emptyTable({ domain, gateHost, pathHost }: Site): TableState {
  const tcp = { ports: { from: 20_000, to: 20_099 }, services: {} };
  return createTableState({ domain, gateHost, pathHost, listener: "main", tcp, ceiling: "public", epoch: "test" }, []);
}

/** Links are good for an hour at most; users and groups are of two realms. */
const CEILING: Ceiling = { anyone: "authenticated", links: true, longestLink: 3_600_000, realms: ["local", "corp"] };

export async function startTestGate(port = 7080): Promise<TestGate> {
  const scope = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "tg-api-"));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const site = siteAt(port);
  const state = emptyTable(site);
  const store = scope.use(await startEmbeddedStore({ file: join(folder, "gate.db"), clock, logger }));
  const routeFor = (host: string) => state.table.routes.get(matchKey({ by: "host", listener: "main", host }));
  const config = LoginConfig.parse({});
  const auditConfig = AuditConfig.parse({});
  const audit = scope.use(await startAudit({ config: auditConfig, folder: join(folder, "audit"), clock, logger }));
  const sealer = createSealer(new Uint8Array(SEALER_KEY_BYTES));
  const auth = scope.use(
    await startAuth({ store, config, site, owner: OWNER, routeFor, audit, sealer, clock, logger }),
  );
  const shared = scope.use(shareTasks({ grants: auth.grants, state }));
  const tasks = tellTasks(state, site, shared);
  const socketPath = join(folder, "api.sock");
  scope.use(await serve({ ...tasks, audit, auth, site, socketPath }));
  const tokenOf = async (principal: Principal) => (await auth.tokens.issue({ name: "test", principal })).token;
  const token = await tokenOf(OWNER);
  const open = (path: string, ask?: Ask) => askSocket(socketPath, path, { token, ...ask });
  return {
    ...{ ...tasks, state, auth, site, socketPath, token, tokenOf, open },
    async ask(path, ask) {
      const response = await open(path, ask);
      const body = await text(response);
      const json = <T>() => JSON.parse(body) as T;
      return { status: response.statusCode ?? 0, headers: response.headers, body, json };
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
}

function tellTasks(state: TableState, site: Site, shared: SharedTasks) {
  let plane: PlaneStatus | null = null;
  let reports: readonly ReachReport[] = [];
  const build = () => {
    const built = state.build(clock.now());
    if (built === null) return;
    shared.published(built);
    directory.built(built);
  };
  const publish = (source: string, update: SourceUpdate) => {
    state.update(source, update);
    build();
  };
  const provider = new ScriptedProvider((update) => publish("local", update));
  const control = (key: string) => (key.startsWith("local/") ? provider : null);
  const directory = createTaskDirectory({ state, site, planeStatus: () => plane, control, clock });
  shared.follow({ touch: build });
  publish("local", { kind: "whole", tasks: [], problems: [] });
  const setPlane = (status: Partial<PlaneStatus>) => {
    plane = { instances: new Map(), endpoints: new Map(), lastUsed: new Map(), problems: [], ...status };
    directory.planeChanged();
  };
  /** As long as nothing of a plane was told there are no Envoys. */
  const envoys = () => plane?.instances ?? null;
  const setReaches = (told: readonly ReachReport[]) => void (reports = told);
  return { provider, control, directory, publish, setPlane, envoys, setReaches, reaches: () => reports };
}

interface Served extends ReturnType<typeof tellTasks> {
  readonly audit: Audit;
  readonly auth: Auth;
  readonly site: Site;
  readonly socketPath: string;
}

async function serve({
  directory,
  provider,
  control,
  envoys,
  reaches,
  audit,
  auth,
  site,
  socketPath,
}: Served): Promise<AsyncDisposable> {
  const ended = new AbortController();
  const pages = await loadPages(UI_FOLDER);
  const about = { version: "0.1.0", url: "http://taskgate.localhost:7080", domain: site.domain, dataPlane: "embedded" };
  const version = () => ({ ...about, startedAt: clock.now(), revision: 1 });
  const signal = ended.signal;
  const sharing = { ceiling: CEILING, realm: OWNER.realm };
  const parts = {
    directory,
    sharing,
    runner: provider,
    runnerProvider: "local",
    control,
    envoys,
    reaches,
    audit,
    auth,
    owner: OWNER,
    site,
  };
  const app = createApi({ ...parts, version, pages, clock, logger, signal });
  const server = await startApiServer({ app, socketPath, logger });
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      await server[Symbol.asyncDispose]();
    },
  };
}
