import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Route } from "../../src/model/index.ts";
import { CONTROL_CLUSTER } from "../../src/dataplanes/envoy/names.ts";
import { FILTER } from "../../src/dataplanes/envoy/authz/names.ts";
import { startGrpcServer } from "../../src/dataplanes/envoy/grpc-server.ts";
import { holdFilters } from "../../src/dataplanes/envoy/watch/hold-filters.ts";
import { accessLogs, HTTP_LOG_OPTIONS, TCP_LOG_OPTIONS } from "../../src/dataplanes/envoy/watch/loggers.ts";
import { startWatch, type Watch } from "../../src/dataplanes/envoy/watch/watch.ts";
import { freePort } from "../../src/dataplanes/testing/apps.ts";
import { TestGatekeeper } from "../../src/dataplanes/testing/test-gatekeeper.ts";
import { silentLogger } from "../../src/platform/logger.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { envoyProgram } from "../../testbed/envoy.ts";
import { AccessLogConfig, TracingConfig } from "../../src/config/schema.ts";

const TYPE = "type.googleapis.com/";
const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/** A cluster of a service, as the real plane would make it. */
export interface Led {
  readonly cluster: string;
  readonly route: Route;
  readonly port: number;
  readonly strict?: boolean;
  readonly http2?: boolean;
}

/** An Envoy that is configured once, with what the gate watches it by; who may come in is nobody's question here. */
export class WatchedEnvoy implements AsyncDisposable {
  readonly folder: string;
  readonly led: readonly Led[];
  readonly port: number;
  readonly tcpPort: number;
  readonly #process: ChildProcess;

  private constructor(
    folder: string,
    led: readonly Led[],
    ports: readonly [http: number, tcp: number],
    process: ChildProcess,
  ) {
    this.folder = folder;
    this.led = led;
    [this.port, this.tcpPort] = ports;
    this.#process = process;
  }

  /** `ledFrom` says where hosts at its port lead; the raw port leads to `port/1`. */
  static async start(ledFrom: (port: number) => readonly Led[]): Promise<WatchedEnvoy> {
    const folder = mkdtempSync(join(tmpdir(), "tg-watch-"));
    const ports = [await freePort(), await freePort()] as const;
    const led = ledFrom(ports[0]);
    writeFileSync(join(folder, "envoy.json"), JSON.stringify(bootstrap(led, ports, folder)));
    const flags = ["--concurrency", "1", "--use-dynamic-base-id", "-l", "warn"];
    const child = spawn(await envoyProgram(), ["-c", join(folder, "envoy.json"), ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)));
    for (let tries = 0; tries < 100; tries += 1) {
      if (await answers(ports[0])) return new WatchedEnvoy(folder, led, ports, child);
      if (child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    child.kill("SIGKILL");
    throw new Error(`Envoy does not start: ${said}`);
  }

  get socket(): string {
    return join(this.folder, "gate.sock");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A gate as far as it watches. */
export class WatchingGate implements AsyncDisposable {
  readonly gatekeeper = new TestGatekeeper();
  readonly watch: Watch;
  readonly #scope: AsyncDisposableStack;

  private constructor(watch: Watch, gatekeeper: TestGatekeeper, scope: AsyncDisposableStack) {
    this.watch = watch;
    this.gatekeeper = gatekeeper;
    this.#scope = scope;
  }

  static async start(envoy: WatchedEnvoy, log?: string): Promise<WatchingGate> {
    await using scope = new AsyncDisposableStack();
    const gatekeeper = new TestGatekeeper();
    const watch = scope.use(
      await startWatch({
        ...{ gatekeeper, clock: systemClock, logger: silentLogger, failures: 2 },
        accessLog: AccessLogConfig.parse(log === undefined ? { mode: "off" } : { mode: "full", file: log }),
        routeOf: (name) => envoy.led.find(({ cluster }) => cluster === name)?.route,
        tracing: TracingConfig.parse({}),
        decided: () => undefined,
        routeOfId: () => undefined,
        sessionOf: () => null,
        ...{ admins: null, changed: () => undefined, used: () => undefined },
      }),
    );
    const addresses = [{ unix: envoy.socket }];
    scope.use(await startGrpcServer({ addresses, services: watch.services, logger: silentLogger }));
    return new WatchingGate(watch, gatekeeper, scope.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.disposeAsync();
  }
}

async function answers(port: number): Promise<boolean> {
  try {
    await fetch(`http://127.0.0.1:${String(port)}/`);
    return true;
  } catch {
    return false;
  }
}

function bootstrap(led: readonly Led[], [http, tcp]: readonly [number, number], folder: string): object {
  const logs = accessLogs();
  const control = join(folder, "gate.sock");
  return {
    node: { id: "watched", cluster: "local" },
    staticResources: {
      listeners: [
        listener("http", http, {
          "@type": TYPE + MANAGER,
          statPrefix: "http",
          http2ProtocolOptions: { allowConnect: true },
          useRemoteAddress: true,
          upgradeConfigs: [{ upgradeType: "websocket" }, { upgradeType: "CONNECT" }],
          accessLog: logs.http,
          accessLogOptions: HTTP_LOG_OPTIONS,
          earlyHeaderMutationExtensions: [nameCluster()],
          routeConfig: { name: "all", virtualHosts: [{ name: "all", domains: ["*"], routes: routes() }] },
          httpFilters: [
            useFromHeader(),
            ...holdFilters(),
            {
              name: "router",
              typedConfig: {
                "@type": `${TYPE}envoy.extensions.filters.http.router.v3.Router`,
                upstreamLog: logs.upstream,
              },
            },
          ],
        }),
        listener("tcp", tcp, {
          "@type": `${TYPE}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
          ...{ statPrefix: "tcp", cluster: "port/1", accessLog: logs.tcp, accessLogOptions: TCP_LOG_OPTIONS },
        }),
      ],
      clusters: [
        ...led.map(({ cluster: name, port, strict, http2 }) => ({
          ...cluster(name, { socketAddress: { address: "127.0.0.1", portValue: port } }, http2 === true),
          metadata: { filterMetadata: { taskgate: strict === true ? { unheld: "close" } : {} } },
        })),
        cluster(CONTROL_CLUSTER, { pipe: { path: control } }, true),
      ],
    },
  };
}

function routes(): object[] {
  const timeout = "0s";
  return [
    {
      match: { connectMatcher: {} },
      route: {
        clusterHeader: "x-tg-cluster",
        timeout,
        upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }],
      },
    },
    { match: { prefix: "/" }, route: { clusterHeader: "x-tg-cluster", timeout } },
  ];
}

function listener(name: string, portValue: number, typedConfig: object): object {
  return {
    name,
    address: { socketAddress: { address: "127.0.0.1", portValue } },
    filterChains: [{ filters: [{ name, typedConfig }] }],
  };
}

function cluster(name: string, address: object, http2: boolean): object {
  const protocol = http2 ? { http2ProtocolOptions: {} } : { httpProtocolOptions: {} };
  return {
    ...{
      name,
      type: "STATIC",
      connectTimeout: "1s",
      circuitBreakers: { thresholds: [{ maxRequests: 1e6, maxConnections: 1e6 }] },
    },
    typedExtensionProtocolOptions: { [HTTP_OPTIONS]: { "@type": TYPE + HTTP_OPTIONS, explicitHttpConfig: protocol } },
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
  };
}

function nameCluster(): object {
  const append = {
    header: { key: "x-tg-cluster", value: "tg/%REQ(:authority)%" },
    appendAction: "OVERWRITE_IF_EXISTS_OR_ADD",
  };
  const type = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation";
  return { name: "cluster", typedConfig: { "@type": TYPE + type, mutations: [{ append }] } };
}

/** Stands for the filter that asks the gate. */
function useFromHeader(): object {
  const rule = { header: "x-use", onHeaderPresent: { metadataNamespace: FILTER.ask, key: "use", type: "STRING" } };
  const type = "envoy.extensions.filters.http.header_to_metadata.v3.Config";
  return { name: "use", typedConfig: { "@type": TYPE + type, requestRules: [rule] } };
}
