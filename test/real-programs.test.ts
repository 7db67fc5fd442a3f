import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../src/dataplanes/testing/apps.ts";
import { silentLogger } from "../src/platform/logger.ts";
import { createDiscover, type FoundPort, type Recognised } from "../src/providers/local/discover/discover.ts";
import { debianProgram } from "../testbed/debian-program.ts";
import { pythonEnvironment, type PythonEnvironment } from "../testbed/python/environment.ts";

/** Some of these import half of the Python world before they listen. */
const WAIT = { timeout: 100_000, interval: 300 };

let python: PythonEnvironment;
beforeAll(async () => {
  python = await pythonEnvironment();
}, 1_800_000);

interface Program {
  readonly pid: number;
  readonly folder: string;
  readonly port: number;
  /** What it and its children said so far. */
  output(): string;
}

/** A folder for one test, with these files. */
function folderWith(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "taskgate-program-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** Starts what `command` makes of a free port and the folder, in a session of its own that ends with the test. */
async function start(
  command: (port: number, folder: string) => readonly string[],
  options: {
    readonly files?: Readonly<Record<string, string>>;
    readonly env?: Record<string, string>;
    readonly user?: number;
  } = {},
): Promise<Program> {
  const folder = folderWith(options.files);
  const port = await freePort();
  const [program = "", ...args] = command(port, folder);
  const home = {
    HOME: folder,
    JUPYTER_CONFIG_DIR: folder,
    JUPYTER_RUNTIME_DIR: folder,
    JUPYTER_DATA_DIR: folder,
    IPYTHONDIR: folder,
    GRADIO_ANALYTICS_ENABLED: "False",
    STREAMLIT_BROWSER_GATHER_USAGE_STATS: "false",
  };
  const child = spawn(program, args, {
    cwd: folder,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...home, ...options.env },
    ...(options.user !== undefined && { uid: options.user, gid: options.user }),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const ended = new Promise((resolve) => child.once("close", resolve));
  onTestFinished(async () => {
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // it ended by itself
    }
    await ended;
  });
  return { pid: child.pid!, folder, port, output: () => output };
}

/** Every port of the program as it is recognised; those that do not answer yet are left out. */
async function seen(program: Program): Promise<(Recognised & { readonly found: FoundPort })[]> {
  const discover = createDiscover({ logger: silentLogger });
  const ports = (await discover.listening([program.pid])).get(program.pid) ?? [];
  const recognised = await Promise.all(
    ports.map(async (found) => {
      const what = await discover.recognise(found, new AbortController().signal);
      return what === null ? [] : [{ ...what, found }];
    }),
  );
  return recognised.flat();
}

/** Waits until these and no others are its services (hidden ports aside), by port. */
async function expectServices(
  program: Program,
  services: Readonly<Record<number, Partial<Recognised>>>,
): Promise<void> {
  await vi.waitFor(async () => {
    const visible = (await seen(program)).filter((port) => !port.hidden);
    const byPort = Object.fromEntries(visible.map((port) => [port.found.port, port]));
    expect(byPort, program.output().slice(-2000)).toMatchObject(services);
    expect(Object.keys(byPort)).toEqual(Object.keys(services));
  }, WAIT);
}

interface Ask {
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Asks with a Host header of one's choice. */
function ask({ port, host, path = "/", method = "GET", headers = {} }: Ask) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method, headers: { ...headers, host } }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => (body += text));
      response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
    });
    asked.once("error", reject).end();
  });
}

/** Sends one line to a TCP server; what comes back until it ends or `until` is in it. */
function tell(port: number, line: string, until: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(line));
    socket.setEncoding("utf8").on("data", (text: string) => {
      answer += text;
      if (answer.includes(until)) socket.destroy();
    });
    socket.once("error", reject).once("close", () => resolve(answer));
  });
}

const bin = (name: string) => join(python.bin, name);

describe.runIf(process.platform === "linux")("real programs are recognised", () => {
  test("JupyterLab, with the ports of its kernel hidden; it refuses hosts that are not its own", async () => {
    const token = randomUUID();
    const program = await start(
      (port, folder) => [
        bin("jupyter"),
        "lab",
        "--no-browser",
        "--allow-root",
        `--port=${port}`,
        `--notebook-dir=${folder}`,
      ],
      { env: { JUPYTER_TOKEN: token } },
    );
    const lab = {
      service: "lab",
      kind: "notebook",
      protocol: "http",
      landingPath: "/lab",
      policy: { rewriteHost: true },
    } as const;
    await expectServices(program, { [program.port]: lab });
    const own = `127.0.0.1:${program.port}`;
    expect((await ask({ port: program.port, host: "nb.example.com", path: "/api" })).status).toBe(403);
    expect((await ask({ port: program.port, host: own, path: "/api" })).status).toBe(200);

    const made = await ask({
      port: program.port,
      host: own,
      path: "/api/kernels",
      method: "POST",
      headers: { authorization: `token ${token}` },
    });
    expect(made.status, made.body).toBe(201);
    await vi.waitFor(async () => {
      const hidden = (await seen(program)).filter((port) => port.hidden);
      // shell, iopub, stdin, control and heartbeat
      expect(hidden.filter((port) => port.service === "kernel").length).toBeGreaterThanOrEqual(5);
    }, WAIT);
    await expectServices(program, { [program.port]: lab });
  });

  test("TensorBoard, with its data server hidden", async () => {
    const program = await start((port, folder) => [bin("tensorboard"), "--logdir", folder, "--port", `${port}`]);
    await expectServices(program, {
      [program.port]: { service: "tensorboard", kind: "tensorboard", protocol: "http" },
    });
    await vi.waitFor(async () => {
      expect((await seen(program)).filter((port) => port.hidden)).toMatchObject([{ service: "tensorboard-data" }]);
    }, WAIT);
  });

  test("Python's own web server", async () => {
    const program = await start((port) => [python.python, "-m", "http.server", "--bind", "127.0.0.1", `${port}`]);
    await expectServices(program, { [program.port]: { service: "files", kind: "files", protocol: "http" } });
  });

  test("a Dask scheduler with dashboard, and a worker of it, hidden", async () => {
    const dashboard = await freePort();
    const scheduler = await start((port) => [bin("dask"), "scheduler", "--host=127.0.0.1", `--port=${port}`, `--dashboard-address=127.0.0.1:${dashboard}`]); // prettier-ignore
    const services = {
      [scheduler.port]: { service: "scheduler", kind: "dask", protocol: "tcp" },
      [dashboard]: { service: "dashboard", kind: "dask", protocol: "http", landingPath: "/status" },
    } as const;
    await expectServices(scheduler, services);
    const worker = await start(() => [bin("dask"), "worker", `tcp://127.0.0.1:${scheduler.port}`, "--nthreads=1"]);
    await vi.waitFor(async () => {
      expect((await seen(worker)).filter((port) => port.hidden).length, worker.output()).toBeGreaterThanOrEqual(2);
    }, WAIT);
    await expectServices(worker, {});
  });

  test("a Dask cluster inside a script: its dashboard alone", async () => {
    const dashboard = await freePort();
    const script = [
      "import sys, time",
      "from distributed import LocalCluster",
      "if __name__ == '__main__':",
      "    cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address='127.0.0.1:' + sys.argv[1])",
      "    time.sleep(300)",
    ].join("\n");
    const program = await start(() => [python.python, "script.py", `${dashboard}`], { files: { "script.py": script } });
    await vi.waitFor(async () => expect((await seen(program)).length).toBeGreaterThanOrEqual(5), WAIT);
    await expectServices(program, { [dashboard]: { service: "dashboard", kind: "dask", protocol: "http" } });
  });

  test("MLflow, which refuses hosts that are not its own", async () => {
    const program = await start((port, folder) => [bin("mlflow"), "ui", "--workers=1", `--port=${port}`, `--backend-store-uri=sqlite:///${folder}/runs.db`]); // prettier-ignore
    await expectServices(program, { [program.port]: { service: "mlflow", kind: "mlflow", protocol: "http", policy: { rewriteHost: true } } }); // prettier-ignore
    expect((await ask({ port: program.port, host: "mlflow.example.com" })).status).toBe(403);
    expect((await ask({ port: program.port, host: `127.0.0.1:${program.port}` })).status).toBe(200);
  });

  test("Streamlit", async () => {
    const program = await start(
      (port) => [bin("streamlit"), "run", "app.py", "--server.headless=true", `--server.port=${port}`],
      {
        files: { "app.py": "import streamlit as st\nst.write('hello')\n" },
      },
    );
    await expectServices(program, { [program.port]: { service: "streamlit", kind: "streamlit", protocol: "http" } });
  });

  test("Gradio in a script", async () => {
    const script =
      "import sys, gradio\ngradio.Interface(lambda x: x, 'text', 'text').launch(server_port=int(sys.argv[1]))\n";
    const program = await start((port) => [python.python, "app.py", `${port}`], { files: { "app.py": script } });
    await expectServices(program, { [program.port]: { service: "gradio", kind: "gradio", protocol: "http" } });
  });

  test("FastAPI under uvicorn, with its generated pages to land on", async () => {
    const files = { "app.py": "from fastapi import FastAPI\napp = FastAPI()\n" };
    const program = await start((port) => [bin("uvicorn"), "app:app", "--port", `${port}`], { files });
    await expectServices(program, {
      [program.port]: { service: "web", kind: "web", protocol: "http", landingPath: "/docs" },
    });
  });

  test("Bokeh and Panel", async () => {
    const files = {
      "plot.py": "from bokeh.plotting import curdoc, figure\ncurdoc().add_root(figure())\n",
      "app.py": "import panel\npanel.pane.Markdown('hello').servable()\n",
    };
    const bokeh = await start((port) => [bin("bokeh"), "serve", "plot.py", `--port=${port}`], { files });
    const panel = await start((port) => [bin("panel"), "serve", "app.py", `--port=${port}`], { files });
    await expectServices(bokeh, { [bokeh.port]: { service: "bokeh", kind: "bokeh", protocol: "http" } });
    await expectServices(panel, { [panel.port]: { service: "panel", kind: "panel", protocol: "http" } });
  });

  test("marimo", async () => {
    const program = await start((port) => [
      bin("marimo"),
      "edit",
      "--headless",
      "--no-token",
      "--skip-update-check",
      `--port=${port}`,
    ]);
    await expectServices(program, { [program.port]: { service: "marimo", kind: "notebook", protocol: "http" } });
  });

  test("Voila", async () => {
    const notebook = {
      cells: [],
      metadata: { kernelspec: { name: "python3", display_name: "Python" } },
      nbformat: 4,
      nbformat_minor: 5,
    };
    const files = { "page.ipynb": JSON.stringify(notebook) };
    const program = await start((port) => [bin("voila"), "page.ipynb", "--no-browser", `--port=${port}`], { files });
    await expectServices(program, { [program.port]: { service: "voila", kind: "voila", protocol: "http" } });
  });

  test("Flask, gunicorn, Django and Dash", async () => {
    const files = {
      "app.py": "from flask import Flask\napp = Flask(__name__)\n",
      "board.py":
        "import sys\nfrom dash import Dash, html\napp = Dash()\napp.layout = html.Div('x')\nserver = app.server\nif __name__ == '__main__':\n    app.run(port=int(sys.argv[1]))\n",
      "settings.py": "SECRET_KEY = 'x'\nDEBUG = True\nROOT_URLCONF = 'settings'\nurlpatterns = []\n",
    };
    const flask = await start((port) => [bin("flask"), "--app", "app", "run", "--port", `${port}`], { files });
    const gunicorn = await start((port) => [bin("gunicorn"), "app:app", "-b", `127.0.0.1:${port}`], { files });
    const django = await start((port, folder) => [python.python, "-m", "django", "runserver", `${port}`, "--settings=settings", `--pythonpath=${folder}`], { files }); // prettier-ignore
    const dash = await start((port) => [python.python, "board.py", `${port}`], { files });
    const wrapped = await start((port) => [bin("gunicorn"), "board:server", "-b", `127.0.0.1:${port}`], { files });
    for (const program of [flask, gunicorn, django]) {
      await expectServices(program, { [program.port]: { service: "web", kind: "web", protocol: "http" } });
    }
    for (const program of [dash, wrapped]) {
      await expectServices(program, { [program.port]: { service: "dash", kind: "dash", protocol: "http" } });
    }
  });

  test("Redis, which is sent nothing", async () => {
    const redis = debianProgram("redis-server", ["/usr/bin/redis-server", "/usr/local/bin/redis-server"]);
    const program = await start((port) => [
      redis,
      "--port",
      `${port}`,
      "--bind",
      "127.0.0.1",
      "--save",
      "",
      "--loglevel",
      "verbose",
    ]);
    await expectServices(program, { [program.port]: { service: "redis", kind: "database", protocol: "tcp" } });
    const stats = await tell(program.port, "INFO stats\r\n", "total_error_replies");
    expect(stats).toContain("total_commands_processed:0\r");
  });

  test("PostgreSQL, which is sent nothing", async () => {
    const postgres = debianProgram("postgresql", ["/usr/lib/postgresql/*/bin/postgres"]);
    // It refuses to run as root.
    const user = process.getuid?.() === 0 ? 65_534 : undefined;
    const folder = folderWith();
    const data = join(folder, "data");
    mkdirSync(data);
    if (user !== undefined) for (const path of [folder, data]) chownSync(path, user, user);
    const as = { cwd: folder, stdio: "ignore", ...(user !== undefined && { uid: user, gid: user }) } as const;
    execFileSync(join(dirname(postgres), "initdb"), ["-D", data, "-U", "alice", "--auth=trust", "--no-sync"], as);
    const program = await start((port) => [postgres, "-D", data, "-p", `${port}`, "-h", "127.0.0.1", "-k", data], {
      ...(user !== undefined && { user }),
    });
    await expectServices(program, { [program.port]: { service: "postgresql", kind: "database", protocol: "tcp" } });
    expect(program.output()).not.toContain("startup packet");
  });
});
