import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Explain } from "../../src/dataplanes/dataplane.ts";
import { type Authz, createAuthz } from "../../src/dataplanes/envoy/authz/authz.ts";
import { earlyMutations, httpFilters } from "../../src/dataplanes/envoy/authz/filters.ts";
import { serviceMetadata } from "../../src/dataplanes/envoy/authz/service-metadata.ts";
import { startGrpcServer } from "../../src/dataplanes/envoy/grpc-server.ts";
import { askAdmin, readStats } from "../../src/dataplanes/envoy/local/ask-admin.ts";
import { CONTROL_CLUSTER } from "../../src/dataplanes/envoy/names.ts";
import { clusterName } from "../../src/dataplanes/envoy/resources/cluster-name.ts";
import { OWN_REQUEST_FIELDS } from "../../src/dataplanes/envoy/resources/route-configuration.ts";
import { echo, freePort, startHttpApp } from "../../src/dataplanes/testing/apps.ts";
import type { Gatekeeper, Route, RouteTable, SessionKey, Site } from "../../src/model/index.ts";
import { silentLogger } from "../../src/platform/logger.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { envoyProgram } from "../../testbed/envoy.ts";

const TYPE = "type.googleapis.com/";
const PROXY = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
export const SECRET = "a-secret-of-this-test";

/** What the gate gives to whoever authorises. */
export interface Gate {
  readonly gatekeeper: Gatekeeper;
  readonly verification: Parameters<typeof createAuthz>[0]["verification"] & { readonly foreignAuthorization: boolean };
  readonly keys: { published(): ReadonlyMap<string, SessionKey>; observe(listener: () => void): Disposable };
  readonly frameOf: Parameters<typeof createAuthz>[0]["frameOf"];
}

const PUBLIC: Omit<Route, "id" | "match"> = {
  ...{ service: "test/heard/web", upstream: "test/heard/web", protocol: "http", guard: "gate", owner: null },
  ...{ access: { grants: [], anyone: "public" }, policy: {} },
};

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** Fields that the job saw, by name in lower case, where it is a job's answer. */
  readonly seen: Readonly<Record<string, string>>;
}

/** A port and an origin for a gate whose visitors come by an Envoy. */
export async function siteOfEnvoy(secure = false): Promise<Site> {
  const port = await freePort();
  return { domain: "localhost", gateHost: "taskgate.localhost", pathHost: "paths.localhost", secure, port, dial: "127.0.0.1" }; // prettier-ignore
}

/** A real Envoy with the filters of login; its clusters and keys come by files, its questions go to this process. */
export class LoginEnvoy implements AsyncDisposable {
  readonly site: Site;
  /** Questions that were asked. */
  asked = 0;
  readonly #gate: Gate;
  readonly #folder = mkdtempSync(join(tmpdir(), "tg-login-"));
  readonly #authz: Authz;
  readonly #scope = new AsyncDisposableStack();
  #control: AsyncDisposable | null = null;
  #app: { readonly port: number } = { port: 0 };
  #routes: readonly Route[] = [];
  #version = 0;
  #marker: Route | null = null;

  private constructor(site: Site, gate: Gate, explain: Explain) {
    this.site = site;
    this.#gate = gate;
    const { foreignAuthorization } = gate.verification;
    this.#authz = createAuthz({
      ...{ ...gate, foreignAuthorization, site, explain, ownSecret: SECRET },
      ...{ clock: systemClock, logger: silentLogger },
      tunnelTarget: () => undefined,
      frontHops: 1,
    });
  }

  static async start({
    site,
    gate,
    routes,
    handle = echo,
    worker = 1,
  }: {
    readonly site: Site;
    readonly gate: Gate;
    readonly routes: readonly Route[];
    readonly handle?: Parameters<typeof startHttpApp>[0];
    readonly worker?: number;
  }): Promise<LoginEnvoy> {
    // prettier-ignore
    const explain: Explain = () => Promise.resolve({ status: 404, code: "unknown_host", title: "No", message: "No." });
    const envoy = new LoginEnvoy(site, gate, explain);
    envoy.#authz.settled();
    const app = envoy.#scope.use(await startHttpApp(handle));
    envoy.#app = app.address;
    await envoy.publish(routes);
    await envoy.revive();
    envoy.#scope.use(gate.keys.observe(() => void envoy.publish(envoy.#routes)));
    envoy.#scope.use(gate.verification.observe(() => envoy.#tell()));
    await envoy.#launch(worker);
    return envoy;
  }

  /** What is served from now on. Resolves before the Envoy has heard it. */
  publish(routes: readonly Route[]): Promise<void> {
    const before = this.#routes;
    this.#routes = routes;
    const empty = { set: [], removed: [] };
    const removed = before.filter(({ id }) => !routes.some((route) => route.id === id)).map(({ id }) => id);
    const revision = { epoch: "test", seq: (this.#version += 1) };
    const table: RouteTable = {
      ...{ revision, listeners: new Map(), certificates: new Map(), problems: new Map() },
      ...{ upstreams: new Map(), endpoints: new Map(), keys: this.#gate.keys.published() },
      routes: new Map(routes.map((route) => [route.id, route])),
    };
    this.#authz.apply(table, {
      ...{ from: revision, to: revision, upstreams: empty, endpoints: empty, problems: empty, rest: true },
      routes: { set: routes, removed },
    });
    this.#tell();
    return Promise.resolve();
  }

  /** Resolves once the Envoy goes by what was published last. */
  async heard(): Promise<void> {
    // Files are watched, and clusters replaced, in turn: the last one that is told of is this one.
    const name = `heard-${String(this.#version)}.localhost`;
    this.#marker = { ...PUBLIC, id: name, match: { by: "host", listener: "web", host: name } };
    this.#tell();
    for (let tries = 0; tries < 200; tries += 1) {
      const before = this.asked;
      if ((await this.ask(name)).status === 200 && this.asked === before) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("the Envoy does not hear");
  }

  /** Requests whose session was looked at, known ones left out. */
  async lookedAt(): Promise<number> {
    const ask = (path: string) => askAdmin(join(this.#folder, "admin.sock"), "GET", path);
    const found = await readStats(ask, "jwt_authn[.](allowed|denied)$");
    return [...found.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The gate is gone. */
  async kill(): Promise<void> {
    await this.#control?.[Symbol.asyncDispose]();
    this.#control = null;
  }

  /** And here again. */
  async revive(): Promise<void> {
    const { definition, implementation } = this.#authz.service;
    const check = implementation.check as (...args: unknown[]) => unknown;
    const counted = (...args: unknown[]) => {
      this.asked += 1;
      return check(...args);
    };
    this.#control = await startGrpcServer({
      addresses: [{ unix: join(this.#folder, "gate.sock") }],
      services: [{ definition, implementation: { check: counted } }],
      logger: silentLogger,
    });
  }

  /** One request; `headers` as name and value, repeated ones as often as they are there. */
  async ask(
    host: string,
    {
      method = "GET",
      path = "/",
      headers = [],
      body = "",
      port = this.site.port,
    }: {
      method?: string;
      path?: string;
      headers?: readonly (readonly [string, string])[];
      body?: string;
      port?: number;
    } = {},
  ): Promise<Answer> {
    // prettier-ignore
    const authority = `${host}:${String(port)}`;
    const request = http.request({
      ...{ host: "127.0.0.1", port: this.site.port, method, path, agent: false, setHost: false },
      headers: [["Host", authority], ...headers].flat(),
    });
    request.end(body);
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    let text = "";
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode ?? 0, headers: response.headers, body: text, seen: seenIn(text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#scope.disposeAsync();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.#folder, `${name}.json`);
  }

  /** Envoy reads what is moved there. */
  #write(name: string, resources: readonly object[]): void {
    const text = JSON.stringify({ version_info: String((this.#version += 1)), resources });
    writeFileSync(`${this.#file(name)}.new`, text);
    renameSync(`${this.#file(name)}.new`, this.#file(name));
  }

  #tell(): void {
    for (const { name, type, body } of this.#authz.resources()) this.#write(name, [{ "@type": TYPE + type, ...body }]);
    this.#write("clusters", [...this.#routes, ...(this.#marker === null ? [] : [this.#marker])].map((route) => this.#cluster(route))); // prettier-ignore
  }

  #cluster(route: Route): object {
    const name = clusterName(route, this.site);
    const address = { socketAddress: { address: "127.0.0.1", portValue: this.#app.port } };
    const { foreignAuthorization } = this.#gate.verification;
    return {
      "@type": `${TYPE}envoy.config.cluster.v3.Cluster`,
      ...{ name, type: "STATIC", connectTimeout: "1s" },
      metadata: { filterMetadata: { taskgate: serviceMetadata({ site: this.site, frameOf: this.#gate.frameOf, foreignAuthorization }, route) } }, // prettier-ignore
      loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
    };
  }

  async #launch(workers: number): Promise<void> {
    writeFileSync(this.#file("envoy"), JSON.stringify(this.#bootstrap()));
    const flags = ["--concurrency", String(workers), "--use-dynamic-base-id", "-l", "warn"];
    const child = spawn(await envoyProgram(), ["-c", this.#file("envoy"), ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#scope.use(ending(child));
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)));
    for (let tries = 0; tries < 100 && child.exitCode === null; tries += 1) {
      if (await this.ask("nothing.localhost").then(() => true, () => false)) return; // prettier-ignore
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await this[Symbol.asyncDispose]();
    throw new Error(`Envoy does not start: ${said}`);
  }

  #bootstrap(): object {
    const socket = join(this.#folder, "gate.sock");
    const http2 = { "@type": TYPE + OPTIONS, explicitHttpConfig: { http2ProtocolOptions: {} } };
    return {
      node: { id: "test", cluster: "test" },
      admin: { address: { pipe: { path: join(this.#folder, "admin.sock") } } },
      layeredRuntime: { layers: [{ name: "patterns", staticLayer: { "re2.max_program_size.error_level": 1_000_000, "re2.max_program_size.warn_level": 1_000_000 } }] }, // prettier-ignore
      dynamicResources: { cdsConfig: this.#fromFile("clusters") },
      staticResources: {
        listeners: [this.#listener()],
        clusters: [
          {
            ...{ name: CONTROL_CLUSTER, type: "STATIC", connectTimeout: "1s" },
            typedExtensionProtocolOptions: { [OPTIONS]: http2 },
            loadAssignment: {
              clusterName: CONTROL_CLUSTER,
              endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: socket } } } }] }],
            },
          },
        ],
      },
    };
  }

  #fromFile(name: string): object {
    return { pathConfigSource: { path: this.#file(name) }, resourceApiVersion: "V3" };
  }

  #listener(): object {
    const settings = {
      credentialFields: this.#gate.verification.credentialFields,
      ownSecret: SECRET,
      secure: this.site.secure,
      sourceOf: (name: string) => this.#fromFile(name),
    };
    const early = { append: { header: { key: "x-tg-cluster", value: "tg/%REQ(:authority)%" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" } }; // prettier-ignore
    const route = { clusterHeader: "x-tg-cluster", timeout: "0s", upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }] }; // prettier-ignore
    const routes = [
      { match: { prefix: "/" }, route },
      { match: { connectMatcher: {} }, route },
    ];
    const manager = {
      "@type": TYPE + PROXY,
      ...{ statPrefix: "main", useRemoteAddress: true, generateRequestId: true, streamIdleTimeout: "0s" },
      upgradeConfigs: [{ upgradeType: "websocket" }, { upgradeType: "CONNECT" }],
      earlyHeaderMutationExtensions: [
        {
          name: "taskgate.early",
          typedConfig: {
            "@type": `${TYPE}envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation`,
            mutations: [...earlyMutations(settings), early],
          },
        },
      ],
      routeConfig: {
        requestHeadersToRemove: OWN_REQUEST_FIELDS,
        virtualHosts: [{ name: "all", domains: ["*"], routes }],
      },
      httpFilters: [
        ...httpFilters(settings),
        {
          name: "envoy.filters.http.router",
          typedConfig: { "@type": `${TYPE}envoy.extensions.filters.http.router.v3.Router`, suppressEnvoyHeaders: true },
        },
      ],
    };
    return {
      name: "main",
      address: { socketAddress: { address: "127.0.0.1", portValue: this.site.port } },
      filterChains: [{ filters: [{ name: "http", typedConfig: manager }] }],
    };
  }
}

function ending(child: ChildProcess): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    },
  };
}

function seenIn(text: string): Record<string, string> {
  try {
    const { rawHeaders = [] } = JSON.parse(text) as { rawHeaders?: string[] };
    const seen: Record<string, string> = {};
    for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
      const name = (rawHeaders[at] ?? "").toLowerCase();
      const before = seen[name];
      seen[name] = before === undefined ? (rawHeaders[at + 1] ?? "") : `${before} | ${rawHeaders[at + 1] ?? ""}`;
    }
    return seen;
  } catch {
    return {};
  }
}
