import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import { startEmbeddedStore } from "../store/embedded/embedded-store.ts";
import { startSoleLeadership } from "../store/embedded/sole-leadership.ts";
import { describeReach } from "./reach.contract.ts";
import { direct } from "./reach.ts";

describeReach("direct", async () => {
  const scope = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "taskgate-reach-"));
  scope.defer(() => rm(folder, { recursive: true }));
  const deps = { clock: systemClock, logger: silentLogger };
  const store = scope.use(await startEmbeddedStore({ ...deps, file: join(folder, "gate.db") }));
  return {
    reach: direct,
    context: { store, leadership: startSoleLeadership({ ...deps, store }) },
    async listen(greeting) {
      const server = createServer((socket) => socket.on("error", () => undefined).end(greeting)).listen(0, "127.0.0.1");
      scope.use(server);
      await once(server, "listening");
      return { address: { ip: "127.0.0.1", port: (server.address() as AddressInfo).port } };
    },
    [Symbol.asyncDispose]: () => scope.disposeAsync(),
  };
});
