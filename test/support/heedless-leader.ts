/**
 * Leads `writer` of the store NAME of a cluster, and writes as its leader, until a write is refused; it does not heed that its lead ended.
 * Each line on standard output is a write: `{"fence": 1, "n": 1}`, the last one `{"fence": 1, "refused": "conflict"}`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { GatewayError } from "../../src/model/index.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { KubernetesClient } from "../../src/platform/kubernetes/client.ts";
import { loadKubeconfig } from "../../src/platform/kubernetes/kubeconfig.ts";
import { silentLogger } from "../../src/platform/logger.ts";
import { startKubernetesStore } from "../../src/store/kubernetes/kubernetes-store.ts";
import { startLeaseLeadership } from "../../src/store/kubernetes/lease-leadership.ts";

const [kubeconfig = "", namespace = "", name = ""] = process.argv.slice(2);
const cluster = await loadKubeconfig([kubeconfig], null, systemClock);
const deps = { client: new KubernetesClient({ cluster, clock: systemClock }), namespace, name, clock: systemClock };
const store = await startKubernetesStore({ ...deps, networkClock: systemClock, logger: silentLogger });
const leadership = startLeaseLeadership({ ...deps, holder: "heedless", durationS: 3, logger: silentLogger });
const say = (what: object): void => void process.stdout.write(`${JSON.stringify(what)}\n`);

leadership.lead("writer", async (_signal, fence) => {
  for (let n = 1; ; n += 1) {
    try {
      const before = await store.get("task", "state");
      const version = before?.version ?? null;
      await store.put("task", "state", { by: "heedless", n }, { version, fence: { lead: "writer", fence } });
      say({ fence, n });
    } catch (error) {
      say({ fence, refused: error instanceof GatewayError ? error.code : String(error) });
      process.exit(0);
    }
    await sleep(20);
  }
});
setInterval(() => undefined, 1000);
