import type { Page } from "./ask-port.ts";
import type { KnownProgram, PortFacts } from "./known-program.ts";
import {
  database,
  either,
  headed,
  onPort,
  plumbing,
  role,
  runs,
  runsSubcommand,
  servesApplication,
  shows,
  web,
} from "./known-program.ts";

/** A ZMTP greeting (RFC 23 of ZeroMQ): FF, eight bytes of padding, 7F. */
const isZmq = ({ banner }: PortFacts) => /^\xff[^]{8}\x7f/.test(banner);
/** The handshake that opens Dask's own protocol: a MessagePack map with these keys. */
const isDaskComm = ({ banner }: PortFacts) => banner.includes("compression") && banner.includes("python");
/** Servers that say only that they are Tornado's, and tell themselves apart by where they send visitors. */
const tornadoSends = (where: RegExp) => (facts: PortFacts, page: Page | null) =>
  headed("server", /^Tornado/)(facts, page) && headed("location", where)(facts, page);
const DOCS = { path: "/docs", page: ({ body }: { readonly body: string }) => /swagger-ui/i.test(body) };

const NOTEBOOKS: readonly KnownProgram[] = [
  web({
    id: "jupyter-lab",
    kind: "notebook",
    command: either(runs("jupyter-lab", "jupyter-labhub", "jupyterlab"), runsSubcommand("jupyter", "lab")),
    answer: tornadoSends(/^\/(.*\/)?lab(\?|$)/),
    service: "lab",
    landingPath: "/lab",
    rewriteHost: true,
  }),
  web({
    id: "jupyter-notebook",
    kind: "notebook",
    command: either(
      runs("jupyter-notebook", "notebook", "nbclassic", "jupyter-nbclassic"),
      runsSubcommand("jupyter", "notebook", "nbclassic"),
    ),
    answer: tornadoSends(/^\/(.*\/)?tree(\?|$)/),
    service: "notebook",
    landingPath: "/tree",
    rewriteHost: true,
  }),
  web({
    id: "jupyter-server",
    kind: "notebook",
    command: either(
      runs("jupyter-server", "jupyter_server", "jupyterhub-singleuser"),
      runsSubcommand("jupyter", "server"),
    ),
    service: "notebook",
    rewriteHost: true,
  }),
  {
    id: "ipykernel",
    kind: null,
    command: runs("ipykernel_launcher", "ipykernel", "colab_kernel_launcher"),
    ports: [role("tcp", "kernel", { when: isZmq, hidden: true })],
    rest: "anything",
  },
  plumbing("debugpy", runs("debugpy", "debugpy.adapter", /\/debugpy(\/adapter)?\/?$/)),
  web({ id: "marimo", kind: "notebook", command: runs("marimo"), answer: shows(/<marimo-/) }),
  web({ id: "voila", kind: "voila", command: runs("voila"), rewriteHost: true }),
];

const CLUSTERS: readonly KnownProgram[] = [
  {
    id: "dask-scheduler",
    kind: "dask",
    command: either(runs("dask-scheduler", "distributed.cli.dask_scheduler"), runsSubcommand("dask", "scheduler")),
    ports: [role("http", "dashboard", { landingPath: "/status" }), role("tcp", "scheduler")],
    rest: "hidden",
  },
  {
    id: "dask-worker",
    kind: "dask",
    command: either(
      runs("dask-worker", "dask-cuda-worker", "distributed.cli.dask_worker", "distributed.cli.dask_spec"),
      runsSubcommand("dask", "worker", "cuda", "spec"),
    ),
    answer: (facts, page) => facts.spawned && (isDaskComm(facts) || tornadoSends(/^\/?status$/)(facts, page)),
    probe: {
      path: "/sitemap.json",
      worth: (facts, page) => facts.spawned && headed("server", /^Tornado/)(facts, page),
      page: (page) => page.status === 200 && page.body.includes("/individual-"),
    },
    ports: [],
    rest: "hidden",
  },
  {
    // A LocalCluster in somebody's script or notebook: it has a scheduler and its workers' nannies, all but the former of no use outside.
    id: "dask-local",
    kind: "dask",
    answer: (facts, page) => isDaskComm(facts) || tornadoSends(/^\/?status$/)(facts, page),
    ports: [role("http", "dashboard", { landingPath: "/status" }), role("tcp", "scheduler", { when: onPort(8786) })],
    rest: "hidden",
  },
  web({
    id: "ray-dashboard",
    kind: "ray",
    command: runs(/\/ray\/dashboard\/dashboard\.py$/, /^ray-dashboard/),
    service: "dashboard",
    rest: "hidden",
  }),
  {
    id: "ray-client",
    kind: "ray",
    command: (line) => runs("ray.util.client.server")(line) && !line.args.includes("--mode=specific-server"),
    ports: [role("grpc", "client")],
    rest: "hidden",
  },
  plumbing(
    "ray-node",
    runs(
      "gcs_server",
      "raylet",
      "plasma_store",
      "ray.util.client.server",
      /^ray::/,
      /\/ray\/(_private|dashboard|autoscaler)\//,
    ),
  ),
  {
    id: "spark-driver",
    kind: "spark",
    command: runs("org.apache.spark.deploy.sparksubmit"),
    ports: [role("http", "ui", { landingPath: "/jobs/" }), role("grpc", "connect")],
    rest: "hidden",
  },
  {
    id: "spark-master",
    kind: "spark",
    command: runs("org.apache.spark.deploy.master.master"),
    ports: [
      role("http", "rest", { when: onPort(6066), hidden: true }),
      role("http", "ui"),
      role("tcp", "master", { when: onPort(7077, "--port", "-p") }),
    ],
    rest: "hidden",
  },
  web({
    id: "spark-worker",
    kind: "spark",
    command: runs("org.apache.spark.deploy.worker.worker"),
    service: "worker-ui",
    rest: "hidden",
  }),
  web({
    id: "spark-history",
    kind: "spark",
    command: runs("org.apache.spark.deploy.history.historyserver"),
    service: "history",
    rest: "hidden",
  }),
  plumbing("spark-executor", runs(/^org\.apache\.spark\.executor\./, /\/pyspark\/daemon(\.py)?$/, "pyspark.daemon")),
];

const MODELS: readonly KnownProgram[] = [
  web({
    id: "vllm",
    kind: "model",
    command: either(
      runsSubcommand("vllm", "serve"),
      runs("vllm.entrypoints.openai.api_server", "vllm.entrypoints.api_server", /^VLLM::API/i),
    ),
    service: "api",
    rest: "hidden",
    landingPath: "/docs",
  }),
  plumbing("vllm-engine", runs(/^VLLM::/)),
  web({
    id: "ollama",
    kind: "model",
    command: runsSubcommand("ollama", "serve"),
    answer: shows(/^Ollama is running/),
    service: "api",
    rewriteHost: true,
  }),
  plumbing("ollama-runner", either(runsSubcommand("ollama", "runner"), runs("ollama_llama_server"))),
  web({
    id: "tgi",
    kind: "model",
    command: runs("text-generation-launcher", "text-generation-router"),
    service: "api",
    rest: "hidden",
    landingPath: "/docs",
  }),
  {
    id: "triton",
    kind: "model",
    command: runs("tritonserver"),
    ports: [
      role("http", "metrics", { when: onPort(8002, "--metrics-port"), landingPath: "/metrics" }),
      role("http", "http", { landingPath: "/v2" }),
      role("grpc", "grpc"),
    ],
    rest: "hidden",
  },
  {
    id: "torchserve",
    kind: "model",
    command: runs("org.pytorch.serve.modelserver"),
    ports: [
      role("http", "management", { when: onPort(8081), landingPath: "/models" }),
      role("http", "metrics", { when: onPort(8082), landingPath: "/metrics" }),
      role("http", "inference", { landingPath: "/ping" }),
      role("grpc", "grpc-management", { when: onPort(7071) }),
      role("grpc", "grpc"),
    ],
    rest: "hidden",
  },
  plumbing("torchserve-worker", runs("model_service_worker")),
];

const DASHBOARDS: readonly KnownProgram[] = [
  web({
    id: "tensorboard",
    kind: "tensorboard",
    command: runs("tensorboard", "tensorboard.main"),
    answer: shows(/<title>TensorBoard</),
  }),
  plumbing("tensorboard-data", runs(/\/tensorboard_data_server\//)),
  web({
    id: "mlflow",
    kind: "mlflow",
    command: either(runsSubcommand("mlflow", "ui", "server"), servesApplication(/^mlflow\.server/)),
    answer: shows(/<title>MLflow</),
    rewriteHost: true,
  }),
  web({
    id: "streamlit",
    kind: "streamlit",
    command: runsSubcommand("streamlit", "run", "hello"),
    answer: shows(/<title>Streamlit</),
  }),
  web({ id: "gradio", kind: "gradio", command: runs("gradio"), answer: shows(/gradio_config|<gradio-app/) }),
  web({ id: "panel", kind: "panel", command: runsSubcommand("panel", "serve"), rewriteHost: true }),
  web({
    id: "bokeh",
    kind: "bokeh",
    command: runsSubcommand("bokeh", "serve"),
    answer: shows(/static\/js\/bokeh|cdn\.bokeh\.org/),
    rewriteHost: true,
  }),
  web({ id: "dash", kind: "dash", answer: shows(/_dash-config|_dash-app-content/) }),
  web({
    id: "airflow",
    kind: "airflow",
    command: either(
      (line) => runsSubcommand("airflow", "webserver", "api-server", "standalone")(line),
      runs(/^airflow\.www\.|^airflow\.api_fastapi\./),
      (line) => line.name === "gunicorn" && line.args.some((arg) => arg.includes("airflow")),
    ),
    answer: shows(/<title>Airflow/),
  }),
  plumbing("airflow-worker", runsSubcommand("airflow", "scheduler", "triggerer", "celery", "dag-processor")),
  web({
    id: "prefect",
    kind: "prefect",
    command: either(runsSubcommand("prefect", "server"), servesApplication(/^prefect\.server/)),
    answer: shows(/<title>Prefect/),
  }),
  web({
    id: "aim",
    kind: "aim",
    command: either(runsSubcommand("aim", "up"), servesApplication(/^aim\.web/)),
    answer: shows(/<title>Aim</),
  }),
  web({ id: "wandb", kind: "wandb", answer: shows(/<title>Weights &(amp;)? Biases/) }),
  plumbing("wandb-core", runs("wandb-core", "wandb-service")),
  web({ id: "optuna", kind: "optuna", command: runs("optuna-dashboard"), answer: shows(/<title>Optuna Dashboard/) }),
  web({
    id: "label-studio",
    kind: "label-studio",
    command: runs("label-studio", "label_studio", "label_studio.server"),
    answer: shows(/<title>Label Studio/),
  }),
  web({
    id: "grafana",
    kind: "grafana",
    command: either(runs("grafana-server"), runsSubcommand("grafana", "server")),
    answer: shows(/<title>Grafana</),
  }),
  web({ id: "prometheus", kind: "prometheus", command: runs("prometheus"), answer: shows(/<title>Prometheus/) }),
];

const WORKPLACES: readonly KnownProgram[] = [
  web({
    id: "code-server",
    kind: "ide",
    command: runs("code-server", /\/code-server\/(lib\/node|out\/node\/entry)/),
    answer: headed("location", /^\.\/\?folder=/),
  }),
  web({ id: "rstudio", kind: "ide", command: runs("rserver"), answer: headed("location", /auth-sign-in/) }),
  plumbing("rstudio-session", runs("rsession")),
  {
    id: "sshd",
    kind: "shell",
    command: runs("sshd", "dropbear"),
    ports: [role("tcp", "ssh")],
    rest: "hidden",
    unasked: true,
  },
];

const DATABASES: readonly KnownProgram[] = [
  database("postgresql", runs("postgres", "postmaster")),
  database("mysql", runs("mysqld", "mariadbd")),
  database("redis", runs("redis-server", "valkey-server", "keydb-server")),
  database("mongodb", runs("mongod", "mongos")),
  {
    id: "clickhouse",
    kind: "database",
    command: either(runs("clickhouse-server"), runsSubcommand("clickhouse", "server")),
    ports: [
      // Its own protocol's port answers whoever comes with HTTP in HTTP, to say so.
      role("tcp", "native", { speaks: "http", when: ({ banner }) => banner.includes("clickhouse-client") }),
      role("http", "internal", { when: onPort(9009), hidden: true }),
      role("http", "http", { landingPath: "/play" }),
      role("tcp", "native", { when: onPort(9000) }),
    ],
    rest: "hidden",
  },
];

const WEB_SERVERS: readonly KnownProgram[] = [
  web({
    id: "http-server",
    kind: "files",
    command: runs("http.server"),
    answer: headed("server", /^SimpleHTTP\//),
    service: "files",
  }),
  web({
    id: "vite",
    kind: "web",
    command: runs("vite"),
    answer: shows(/\/@vite\/client/),
    service: "web",
    rewriteHost: true,
  }),
  web({
    id: "next",
    kind: "web",
    command: either(runs("next-server"), runsSubcommand("next", "dev", "start")),
    answer: headed("x-powered-by", /^Next\.js/),
    service: "web",
    rewriteHost: true,
  }),
  web({
    id: "webpack",
    kind: "web",
    command: either(
      runs("webpack-dev-server"),
      runsSubcommand("webpack", "serve", "server"),
      runs(/\/react-scripts\/scripts\/start\.js$/),
    ),
    service: "web",
    rewriteHost: true,
  }),
  web({
    id: "django",
    kind: "web",
    command: either(
      runsSubcommand("manage", "runserver"),
      runsSubcommand("django-admin", "runserver"),
      runsSubcommand("django", "runserver"),
    ),
    answer: headed("server", /^WSGIServer\//),
    service: "web",
    rewriteHost: true,
  }),
  web({
    id: "flask",
    kind: "web",
    command: runsSubcommand("flask", "run"),
    answer: headed("server", /^Werkzeug\//),
    service: "web",
    general: true,
  }),
  web({
    id: "gunicorn",
    kind: "web",
    command: runs("gunicorn"),
    answer: headed("server", /^gunicorn/),
    service: "web",
    general: true,
  }),
  web({
    id: "uvicorn",
    kind: "web",
    command: either(runs("uvicorn", "hypercorn"), runsSubcommand("fastapi", "dev", "run")),
    answer: headed("server", /^(uvicorn|hypercorn)/),
    service: "web",
    general: true,
    landingIf: DOCS,
  }),
];

/**
 * Programs that are known by their command line or by what they answer. The first row that fits is it, so what others are made of
 * (uvicorn, Flask) comes last.
 */
export const KNOWN_PROGRAMS: readonly KnownProgram[] = [
  ...NOTEBOOKS,
  ...CLUSTERS,
  ...MODELS,
  ...DASHBOARDS,
  ...WORKPLACES,
  ...DATABASES,
  ...WEB_SERVERS,
];
