import type { LimitsConfig } from "../../config/schema.ts";
import type { Site, TrafficKind } from "../../model/index.ts";
import type { DataPlane, Explain, PlaneStatus } from "../dataplane.ts";
import { KINDS, SLOT } from "../figures.ts";
import { TableBuilder } from "./table-builder.ts";
import { TestGatekeeper } from "./test-gatekeeper.ts";

export interface PlaneOptions {
  readonly gatekeeper: TestGatekeeper;
  readonly explain: Explain;
  readonly limits: Partial<LimitsConfig>;
  /** As in a config file; what is left out is off. */
  readonly observe: { readonly accessLog?: object; readonly tracing?: object; readonly requestId?: "keep" | "replace" };
  /** Files, PEM; null: plain. */
  readonly tls: (TlsFiles & { readonly certificates?: readonly TlsFiles[] }) | null;
  /** Whose connections begin with a PROXY header. */
  readonly proxyFrom: readonly string[];
  /** Whose X-Forwarded-For counts. */
  readonly frontFrom: readonly string[];
  readonly frontHops: number;
  /** Where visitors come in by a front; null: at the plane's own port. */
  readonly public: { readonly secure: boolean; readonly port: number } | null;
}

interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/** A plane that serves, at a free port of the loopback. */
export interface RunningPlane extends AsyncDisposable {
  readonly plane: DataPlane;
  readonly site: Site;
  readonly address: string;
  readonly port: number;
  /** Bytes that what moves the bytes holds: buffers of this process, tests and jobs included, or all of a process of its own. */
  held(): Promise<number>;
}

export type StartPlane = (options: PlaneOptions) => Promise<RunningPlane>;

/** A plane with all that a test gives it and asks it. */
export interface Rig extends AsyncDisposable, RunningPlane {
  readonly gatekeeper: TestGatekeeper;
  /** Answers that the plane counted, as `KIND STATUS SOURCE`. */
  answers(): Promise<string[]>;
  /** What it has open of a kind. */
  open(kind: TrafficKind): Promise<number>;
  readonly table: TableBuilder;
  /** Failures that were asked about. */
  readonly explained: (string | null)[];
  /** Hands the table over; resolves when every instance serves it. */
  publish(): Promise<void>;
  /** Hands the table over and does not wait. */
  apply(): number;
  status(): PlaneStatus;
}

export async function startRig(
  start: StartPlane,
  options: Partial<Omit<PlaneOptions, "gatekeeper" | "explain">> = {},
): Promise<Rig> {
  const gatekeeper = new TestGatekeeper();
  const explained: (string | null)[] = [];
  const explain: Explain = ({ route, failure }) => {
    explained.push(failure);
    const base = { title: "Not here", message: "<b>No</b> such & such.", lines: ["last <line>"] };
    if (route === null) return Promise.resolve({ ...base, status: 404, code: "unknown_host" });
    if (failure?.endsWith("timeout") === true) return Promise.resolve({ ...base, status: 504, code: "timeout" });
    if (failure === "no_endpoint") {
      return Promise.resolve({ ...base, status: 503, code: "starting", retryAfterSeconds: 7 });
    }
    return Promise.resolve({ ...base, status: 502, code: "unreachable" });
  };
  const usual = { limits: {}, observe: {}, tls: null, proxyFrom: [], frontFrom: [], frontHops: 1, public: null };
  const running = await start({ ...usual, ...options, gatekeeper, explain });
  const table = new TableBuilder();
  let latest: PlaneStatus | null = null;
  const observing = running.plane.observe((status) => (latest = status));
  const status = () => latest ?? { instances: new Map(), endpoints: new Map(), lastUsed: new Map(), problems: [] };
  const apply = () => {
    const { table: whole, diff } = table.commit();
    running.plane.apply(whole, diff);
    return diff.to.seq;
  };
  return {
    ...{ ...running, gatekeeper, table, explained, status },
    apply,
    answers: async () => (await running.plane.figures()).answers.map(([answer]) => answer),
    open: async (kind) => (await running.plane.figures()).kinds[KINDS.indexOf(kind)]?.[SLOT.open] ?? 0,
    async publish() {
      const seq = apply();
      await until(() => [...status().instances.values()].every(({ applied }) => applied >= seq));
    },
    async [Symbol.asyncDispose]() {
      observing[Symbol.dispose]();
      await running[Symbol.asyncDispose]();
    },
  };
}

const PATIENCE_MS = 15_000;

/** Resolves once the condition holds; throws after 15 s. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`still not: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
