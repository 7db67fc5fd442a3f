/** What a program's page does by itself while nobody looks at it. */
export interface Background {
  /** `METHOD /PATH` or `METHOD /PATH?QUERY`: any path that ends so; `*` stands for any text, in a path without `?`. */
  readonly requests: readonly string[];
  /** The largest piece, in bytes, that its page sends over an open WebSocket only to keep it open. Absent: that of a pong. */
  readonly quietBytes?: number;
}

/** Two bytes of head, four of mask, and what servers put into a ping (RFC 6455 section 5.5.2): mostly nothing, or four to eight bytes. */
const PONG_BYTES = 16;

/** Of every program: what monitors ask. */
const ANY: Background = { requests: ["GET /healthz", "GET /health", "GET /livez", "GET /readyz", "GET /favicon.ico"] };

/**
 * By a task's kind. Each row is what pages of that kind of program ask for while nobody touches them (recorded for those in
 * `testdata/background/`, known for the others: docs/culling.md); anything else is somebody's doing.
 */
export const BACKGROUND: Readonly<Record<string, Background>> = Object.freeze({
  // JupyterLab polls running things, the folder that is shown (a file that is opened is asked for with its type), and the news feed.
  notebook: {
    requests: [
      "GET /api/kernels",
      "GET /api/kernelspecs",
      "GET /api/sessions",
      "GET /api/terminals",
      "GET /api/status",
      "GET /api/me",
      "GET /api/contents?content=1&hash=0*",
      "GET /api/contents/*?content=1&hash=0*",
      "GET /lab/api/news",
      "GET /lab/api/update",
      "GET /lab/api/workspaces",
      "PUT /lab/api/workspaces/*",
      "GET /static/*",
      "GET /lsp/status",
      "GET /api/metrics/v1",
      "GET /api/events/subscribe",
    ],
  },
  // Its page reloads all that it shows every 30 s, by the same requests as a click; loading the page itself is a visit.
  tensorboard: { requests: ["GET /data/*", "POST /data/*", "GET /experiment/*", "POST /experiment/*"] },
  // VS Code's server and its page tell each other every 5 s that they are there: 13 bytes and a head. RStudio's page waits for events.
  ide: {
    requests: [
      "POST /events/get_events",
      "POST /rpc/get_events",
      "POST /rpc/ping",
      "POST /rpc/user_prompt_completed",
      "POST /mint-key",
    ],
    quietBytes: 48,
  },
  streamlit: { requests: ["GET /_stcore/health", "GET /_stcore/host-config", "GET /_stcore/allowed-message-origins"] },
  gradio: {
    requests: [
      "GET /heartbeat/*",
      "GET /gradio_api/heartbeat/*",
      "GET /gradio_api/startup-events",
      "GET /queue/status",
    ],
  },
  ray: {
    requests: [
      "GET /nodes",
      "GET /api/v0/*",
      "GET /api/jobs/",
      "GET /api/cluster_status",
      "GET /api/serve/applications/",
      "GET /api/*_health",
      "GET /api/component_activities*",
      "GET /logical/*",
      "GET /timezone",
      "GET /events",
    ],
  },
  spark: { requests: ["GET /api/v1/*"] },
  grafana: {
    requests: [
      "POST /api/ds/query",
      "GET /api/live/ws",
      "GET /api/user/auth-tokens/rotate",
      "POST /api/frontend-metrics",
    ],
  },
  airflow: {
    requests: [
      "GET /health",
      "POST /blocked",
      "POST /last_dagruns",
      "POST /dag_stats",
      "POST /task_stats",
      "GET /object/grid_data",
    ],
  },
});

/** Rules as they are looked up: by a task's kind, with what a configuration adds. */
export class BackgroundRules {
  readonly #more: Readonly<Record<string, readonly string[]>>;
  readonly #compiled = new Map<string, readonly RegExp[]>();

  /** `more`: by kind, `*` for every kind. */
  constructor(more: Readonly<Record<string, readonly string[]>>) {
    this.#more = more;
  }

  /** Whether a page of such a task asks for this by itself. `path` with its query. */
  isBackground(kind: string, method: string, path: string): boolean {
    const asked = `${method} ${path}`;
    return this.#patterns(kind).some((pattern) => pattern.test(asked));
  }

  quietBytes(kind: string): number {
    return rowOf(kind)?.quietBytes ?? PONG_BYTES;
  }

  #patterns(kind: string): readonly RegExp[] {
    let patterns = this.#compiled.get(kind);
    if (patterns === undefined) {
      const own = [
        ANY.requests,
        rowOf(kind)?.requests,
        this.#more["*"],
        Object.hasOwn(this.#more, kind) ? this.#more[kind] : [],
      ];
      patterns = own.flatMap((list) => list ?? []).map(compile);
      this.#compiled.set(kind, patterns);
    }
    return patterns;
  }
}

function rowOf(kind: string): Background | undefined {
  return Object.hasOwn(BACKGROUND, kind) ? BACKGROUND[kind] : undefined;
}

/** `GET /api/kernels` holds below any prefix, as programs are told to live below one, and with any query where it names none. */
function compile(rule: string): RegExp {
  const [, method = "", pattern = ""] = /^([A-Z]+) (\/.*)$/.exec(rule) ?? [];
  const [path = "", query] = pattern.split("?");
  const text = (part: string): string => part.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  const tail = query === undefined ? "(\\?.*)?" : `\\?${text(query).replaceAll("*", ".*")}`;
  return new RegExp(`^${method} [^?]*${text(path).replaceAll("*", "[^?]*")}${tail}$`);
}
