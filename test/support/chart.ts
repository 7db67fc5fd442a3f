import { Agent, type IncomingMessage, request, type RequestOptions } from "node:http";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Cluster } from "../../testbed/kubernetes/cluster.ts";
import { TASKGATE_IMAGE } from "../../testbed/kubernetes/images.ts";

export const CHART = fileURLToPath(new URL("../../charts/taskgate", import.meta.url));

const [REPOSITORY, TAG] = TASKGATE_IMAGE.split(":") as [string, string];
/** The image of this checkout. */
const IMAGE = [`image.repository=${REPOSITORY}`, `image.tag=${TAG}`, "image.pullPolicy=Never"];

export type Values = Readonly<Record<string, unknown>>;

/** Options of Helm that say these values; JSON, so that types are kept. */
export function valueOptions(values: Values): readonly string[] {
  const said = Object.entries(values).flatMap(([key, value]) => ["--set-json", `${key}=${JSON.stringify(value)}`]);
  return [...IMAGE.flatMap((pair) => ["--set-string", pair]), ...said];
}

/** An installation of the chart, as people have one. */
export class Release {
  readonly name: string;
  readonly namespace: string;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster, place: { readonly name: string; readonly namespace: string }) {
    this.#cluster = cluster;
    this.name = place.name;
    this.namespace = place.namespace;
  }

  /** `install`, `upgrade` and the like, of this release. */
  helm(verb: string, ...options: readonly string[]): Promise<string> {
    return this.#cluster.helm([verb, this.name, "--namespace", this.namespace, ...options]);
  }

  /** Writes it, and waits until it runs. */
  put(verb: "install" | "upgrade", values: Values, seconds = 90): Promise<string> {
    return this.helm(verb, CHART, ...valueOptions(values), "--wait", `--timeout=${String(seconds)}s`);
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return this.#cluster.kubectl(["--namespace", this.namespace, ...args]);
  }

  /** The command line in a gate's pod. */
  async cli(...words: readonly string[]): Promise<string> {
    return (await this.kubectl("exec", `deployment/${this.name}`, "--", "taskgate", ...words)).trim();
  }

  address(): Promise<string> {
    return this.kubectl("get", "service", this.name, "--output", "jsonpath={.spec.clusterIP}");
  }

  /** Names of gates' pods that are not about to end. */
  async gates(): Promise<readonly string[]> {
    const selector = `app.kubernetes.io/instance=${this.name},app.kubernetes.io/component=gate`;
    const list = JSON.parse(await this.kubectl("get", "pods", "--selector", selector, "--output", "json")) as PodList;
    return list.items.flatMap(({ metadata }) => (metadata.deletionTimestamp === undefined ? [metadata.name] : []));
  }
}

interface PodList {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly deletionTimestamp?: string } }[];
}

/** Who asks a gate at its Service. */
export interface Visitor {
  readonly address: string;
  readonly port: number;
  /** Absent: nobody is logged in. */
  readonly token?: string | undefined;
}

const KEPT_ALIVE = new Agent({ keepAlive: true });

/** The answer's head; `isKept`: by a connection that others used before. */
export async function openAt(visitor: Visitor, host: string, path = "/", isKept = false): Promise<IncomingMessage> {
  const { address, port, token } = visitor;
  const headers = { host: `${host}:${port}`, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
  const options: RequestOptions = { host: address, port, path, headers, agent: isKept ? KEPT_ALIVE : false };
  const asked = request(options).end();
  try {
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    return answer;
  } catch (error) {
    // A kept connection may end at the very moment: whoever keeps some asks again, as browsers do.
    if (asked.reusedSocket) return openAt(visitor, host, path);
    throw error;
  }
}

export async function askAt(
  ...asked: Parameters<typeof openAt>
): Promise<{ readonly status: number; readonly body: string }> {
  const answer = await openAt(...asked);
  let body = "";
  for await (const text of answer.setEncoding("utf8")) body += String(text);
  return { status: answer.statusCode ?? 0, body };
}

/** Asks without pause until stopped; how often what came of it, statuses and errors. */
export function askOn(visitor: Visitor, host: string): { stop(): Promise<Readonly<Record<string, number>>> } {
  const stopping = new AbortController();
  const counts: Record<string, number> = {};
  const run = async (isKept: boolean): Promise<void> => {
    while (!stopping.signal.aborted) {
      const found = await askAt(visitor, host, "/", isKept).then(({ status }) => String(status), String);
      counts[found] = (counts[found] ?? 0) + 1;
    }
  };
  const running = Promise.all([run(false), run(true)]);
  return {
    async stop() {
      stopping.abort();
      await running;
      return counts;
    },
  };
}
