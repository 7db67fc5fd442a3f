import { afterAll, beforeAll, describe } from "vitest";
import { describeStore } from "../src/store/store.contract.ts";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { openStoreGate, storeName } from "./support/store-cluster.ts";

/** On a real API server and etcd, which these tests kill and pause. */
describe.skipIf(NO_OWN_CLUSTER !== null)("on Kubernetes", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await ownCluster("g", { kind: "api" });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  describeStore("kubernetes", (clock) => {
    const name = storeName();
    return Promise.resolve({
      async open() {
        const gate = await openStoreGate({ kubeconfig: cluster.kubeconfig, name, clock });
        const { store } = gate;
        const dispose = store[Symbol.asyncDispose].bind(store);
        return Object.assign(store, {
          async [Symbol.asyncDispose]() {
            await dispose();
            gate.client[Symbol.dispose]();
          },
        });
      },
      async [Symbol.asyncDispose]() {
        await cluster.kubectl(["delete", "secrets", "--selector", `taskgate.dev/store=${name}`]);
      },
    });
  });
});
