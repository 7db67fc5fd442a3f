import { systemClock as clock } from "../../../platform/clock.ts";
import { KubernetesClient } from "../../../platform/kubernetes/client.ts";
import { GATEWAYS, tcpRoutes, type Gateway } from "../../../platform/kubernetes/gateway-objects.ts";
import { collectionPath } from "../../../platform/kubernetes/resource.ts";
import { answer, FakeApiServer, type Intercept } from "../../../platform/kubernetes/testing/fake-api-server.ts";
import { ScriptedController } from "./scripted-controller.ts";

export const GATEWAY = { name: "gw", namespace: "gateways", address: "127.0.0.1" };

/** An API server in memory that has a Gateway, TCPRoutes and a controller for them; no ListenerSets. */
export class FakeGatewayCluster implements AsyncDisposable {
  readonly api: FakeApiServer;
  readonly controller: ScriptedController;
  /** Answers in the server's place, as that of `FakeApiServer`. */
  intercept: Intercept = () => false;
  readonly #client: KubernetesClient;

  private constructor(api: FakeApiServer) {
    this.api = api;
    api.intercept = (request, response) => {
      if (this.intercept(request, response)) return true;
      const plurals = SERVED[request.path];
      if (plurals === undefined) return false;
      answer(response, 200, { kind: "APIResourceList", resources: plurals.map((name) => ({ name })) });
      return true;
    };
    this.#client = new KubernetesClient({ cluster: api.cluster(), clock });
    this.controller = new ScriptedController({
      ...{ client: this.#client, routes: tcpRoutes("v1"), sets: null },
      writeStatus: (resource, { metadata, ...object }) => {
        const path = collectionPath(resource, metadata.namespace);
        const now = api.get(path, metadata.name);
        // As by a subresource: what else was written meanwhile stays.
        if (now !== undefined) api.put(path, { ...now, ...("status" in object ? { status: object.status } : {}) });
        return Promise.resolve();
      },
    });
  }

  static async start(): Promise<FakeGatewayCluster> {
    const api = await FakeApiServer.start();
    const cluster = new FakeGatewayCluster(api);
    cluster.makeGateway();
    return cluster;
  }

  get gateway(): Gateway {
    return this.api.get(GATEWAYS_PATH, GATEWAY.name) as Gateway;
  }

  makeGateway(): void {
    const { name, namespace } = GATEWAY;
    const allowedRoutes = { namespaces: { from: "All" } };
    const listeners = [{ name: "placeholder", port: 1024, protocol: "TCP", allowedRoutes }];
    const gateway: Gateway = { metadata: { name, namespace }, spec: { gatewayClassName: "scripted", listeners } };
    this.api.put(GATEWAYS_PATH, gateway);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.controller[Symbol.asyncDispose]();
    this.#client[Symbol.dispose]();
    await this.api[Symbol.asyncDispose]();
  }
}

export const GATEWAYS_PATH = collectionPath(GATEWAYS, GATEWAY.namespace);

const SERVED: Readonly<Record<string, readonly string[]>> = {
  "/apis/gateway.networking.k8s.io/v1": ["gateways", "gatewayclasses", "tcproutes"],
};
