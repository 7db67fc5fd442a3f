import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Cluster } from "../testbed/kubernetes/cluster.ts";
import { allocate } from "../testbed/determined/allocation.ts";
import { makeMasterAuthority } from "../testbed/determined/master-authority.ts";
import { jupyterLab, smallNotebook, smallTensorBoard, tensorBoard } from "../testbed/determined/programs.ts";
import { startTaskGateway } from "../testbed/kubernetes/task-gateway.ts";
import { NO_OWN_CLUSTER, ownCluster } from "./support/cluster.ts";
import { DeterminedStand } from "./support/determined.ts";
import type { TestGate } from "./support/gate.ts";

const NAMESPACE = "determined-direct";
const WAIT = { timeout: 60_000, interval: 300 };

/** What Determined's master makes in a real cluster, reached by the addresses of its pods. */
describe.skipIf(NO_OWN_CLUSTER !== null)("Determined's tasks, in a real cluster", () => {
  const ended = new AsyncDisposableStack();
  let cluster: Cluster;
  let stand: DeterminedStand;
  let gate: TestGate;
  beforeAll(async () => {
    cluster = ended.use(await ownCluster("q", { with: ["dns"] }));
    stand = ended.use(await DeterminedStand.start(cluster, NAMESPACE));
    gate = ended.use(await stand.startGate([{ kubeconfig: cluster.kubeconfig }]));
  }, 600_000);
  afterAll(() => ended.disposeAsync());

  test("notebooks are reached over mutual TLS, by whom may use them", () => stand.expectNotebook(gate), 180_000);
  test("TensorBoards are reached by HTTP and WebSocket", () => stand.expectBoard(gate), 180_000);
  test("each rank of a trial is reached at each of its ports", () => stand.expectTrial(gate), 180_000);
  test("a shell is reached by ssh", () => stand.expectShell(gate), 180_000);

  test("are their users' own, in one provider that the master's file names", async () => {
    expect(await gate.task(stand.notebook.name)).toMatchObject({
      provider: "determined",
      kind: "notebook",
      owner: "alice",
    });
  });

  test("JupyterLab and TensorBoard themselves answer where their pages are", async () => {
    const own = { namespace: NAMESPACE, user: "alice" };
    const lab = allocate({ ...own, ...(await jupyterLab(stand.authority, { token: "a-token" })) });
    const board = allocate({ ...own, ...(await tensorBoard()) });
    await cluster.apply([...lab.objects, ...board.objects]);
    await vi.waitFor(
      async () => {
        const status = await gate.ask(`${lab.name}.localhost`, `/proxy/${lab.task}/api/status?token=a-token`);
        expect(status).toMatchObject({ status: 200 });
        expect(JSON.parse(status.body)).toHaveProperty("kernels", 0);
        const page = await gate.ask(`${board.name}.localhost`, `/proxy/${board.task}/`);
        expect(page).toMatchObject({ status: 200 });
        expect(page.body).toContain("<title>TensorBoard</title>");
      },
      { timeout: 240_000, interval: 500 },
    );
  }, 300_000);

  test("who shows no certificate by the master's authority is taken for no notebook", async () => {
    const other = await makeMasterAuthority();
    const impostor = allocate({ namespace: NAMESPACE, user: "alice", ...(await smallNotebook(other)) });
    await cluster.apply(impostor.objects);
    await vi.waitFor(async () => {
      const { services } = await gate.task(impostor.name);
      expect(services[0]?.health).toBe("healthy");
    }, WAIT);
    const { status, body } = await gate.ask(`${impostor.name}.localhost`, `/proxy/${impostor.task}/`);
    expect(status).toBe(502);
    expect(body).not.toContain(impostor.task);
  });

  test("two resource managers in two clusters are reached by one gate, each as it says", async () => {
    await using scope = new AsyncDisposableStack();
    const west = scope.use(await ownCluster("0", { with: ["dns", "contour-provisioner"] }));
    const { name, namespace, address } = await startTaskGateway(west, "contour", { name: "tasks", namespace: "task-gateway" }); // prettier-ignore
    const there = scope.use(await DeterminedStand.start(west, NAMESPACE, stand));
    const block = { gateway_name: name, gateway_namespace: namespace, gateway_ip: address };
    const both = scope.use(
      await stand.startGate([
        { kubeconfig: cluster.kubeconfig },
        { cluster: "west", kubeconfig: west.kubeconfig, internal_task_gateway: block },
      ]),
    );
    await stand.expectReached(both);
    await there.expectReached(both);
    expect(await both.task(stand.notebook.name)).toMatchObject({ provider: "determined" });
    expect(await both.task(there.notebook.name)).toMatchObject({ provider: "determined-west" });
    const made = async (id: string): Promise<readonly string[]> => {
      const got = await west.kubectl(["get", "services,tcproutes", "-n", NAMESPACE, "-l", `determined=${id}`, "-o", "name"]); // prettier-ignore
      return got.trim().split("\n").sort();
    };
    const { id, job } = there.notebook;
    expect(await made(id)).toEqual([`service/${job}-0`, `tcproute.gateway.networking.k8s.io/${job}-0`]);
    // Its master has made such objects itself, and would count these.
    const led = allocate({ namespace: NAMESPACE, user: "alice", masterLeads: true, ...smallTensorBoard() });
    await west.apply(led.objects);
    await vi.waitFor(async () => {
      const { status } = await both.ask(`${led.name}.localhost`, `/proxy/${led.task}/`);
      expect(status).toBe(200);
    }, WAIT);
    expect(await made(led.id)).toEqual([""]);
  }, 480_000);
});
