import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatConfigProblems } from "./config-problem.ts";
import { loadConfig, type Loaded } from "./load-config.ts";

const TESTDATA = join(import.meta.dirname, "testdata");
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "taskgate-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function write(text: string | Uint8Array): string {
  files += 1;
  const file = join(folder, `${files}.yaml`);
  writeFileSync(file, text);
  return file;
}
const loadText = (text: string | Uint8Array): Loaded => loadConfig({ file: write(text), environment: {} });
const said = (loaded: Loaded): string => formatConfigProblems(loaded.problems).replaceAll(`${folder}/`, "");
const load = (environment: Record<string, string>, flags: Record<string, string> = {}): Loaded =>
  loadConfig({ environment, flags });

describe("mistakes", () => {
  const names = readdirSync(TESTDATA).filter((name) => name.endsWith(".in.yaml"));

  test.each(names)("%s gives these problems, and no configuration", async (name) => {
    const loaded = loadConfig({ file: relative(process.cwd(), join(TESTDATA, name)), environment: {} });
    expect(loaded.config).toBeNull();
    const text = formatConfigProblems(loaded.problems).replaceAll(relative(process.cwd(), TESTDATA), ".");
    expect(text).not.toMatch(/hunter2|c2VjcmV0/);
    await expect(`${text.replaceAll(TESTDATA, ".")}\n`).toMatchFileSnapshot(
      join(TESTDATA, name.replace(".in.yaml", ".out.txt")),
    );
  });

  test("each have both files", () => {
    const stems = (ending: string) =>
      readdirSync(TESTDATA).flatMap((name) => (name.endsWith(ending) ? [name.slice(0, -ending.length)] : []));
    expect(stems(".out.txt")).toEqual(stems(".in.yaml"));
    expect(readdirSync(TESTDATA)).toHaveLength(2 * names.length);
  });

  test("come with their parts, for programs", () => {
    const file = write("access:\n  ceiling: pubic\n");
    expect(loadConfig({ file, environment: {} }).problems).toEqual([
      {
        severity: "error",
        file,
        line: 2,
        column: 12,
        key: "access.ceiling",
        message: 'expected one of nobody, authenticated, public, got "pubic"',
        expected: "one of nobody, authenticated, public",
        suggestion: "public",
      },
    ]);
  });

  test("are all told at once, in the order of the file, also between keys", () => {
    const loaded = loadText("log:\n  level: x\nlisten:\n  address: 0.0.0.0:80\nlogin:\n  link: 1\nadress: 1\n");
    expect(loaded.problems.map((problem) => problem.key)).toEqual([
      "log.level",
      "listen.address",
      "login.link",
      "adress",
    ]);
  });

  test("beyond what a person reads are counted", () => {
    const loaded = loadText(Array.from({ length: 80 }, (_, n) => `k${n}: 1\n`).join(""));
    expect(loaded.problems).toHaveLength(51);
    expect(said(loaded).split("\n").at(-1)).toBe("1.yaml: 30 more problems".replace("1", String(files)));
  });
});

describe("files", () => {
  test("may be missing: everything has a default", () => {
    const { config, problems } = load({});
    expect(problems).toEqual([]);
    expect(config).toMatchObject({ domain: "localhost", listen: { address: { host: "127.0.0.1", port: 7080 } } });
  });

  test.each(["", "# nothing\n", "---\n", "null\n", "{}\n", "\uFEFF"])(
    "with no content (%j) are the defaults",
    (text) => {
      expect(loadText(text)).toEqual(load({}));
    },
  );

  test("are read as JSON, tabs and all, with the same result as YAML", () => {
    const json = loadText('\t{\r\n\t"domain": "a.example.com",\t"files": [{"path": "\\/x"}]\n}');
    expect(said(json)).toBe("");
    expect(json).toEqual(loadText("domain: a.example.com\nfiles:\n  - path: /x\n"));
  });

  test("may say a thing twice by an alias", () => {
    const { config } = loadText("login:\n  link: &short 5m\n  session: *short\n");
    expect(config?.login).toMatchObject({ link: 300_000, session: 300_000 });
  });

  test("that an alias makes share a section are still changed in one place by the environment", () => {
    const file = write("admin: &both {address: '127.0.0.1:1000'}\nlisten: *both\n");
    const { config } = loadConfig({ file, environment: { TASKGATE_LISTEN_ADDRESS: "127.0.0.1:2000" } });
    expect([config?.admin.address.port, config?.listen.address.port]).toEqual([1000, 2000]);
  });

  test("name other files relative to themselves, and the environment relative to the working directory", () => {
    const file = write("files:\n  - path: sub/tasks.yaml\n  - name: b\n    path: /etc/tasks.yaml\n");
    const { config } = loadConfig({ file, environment: {} });
    expect(config?.files.map(({ path }) => path)).toEqual([join(folder, "sub/tasks.yaml"), "/etc/tasks.yaml"]);
    const { problems } = load({ TASKGATE_LISTEN_TLS_CERTIFICATE: "none.pem", TASKGATE_LISTEN_TLS_KEY: "none.key" });
    expect(problems.map(({ file: place, key }) => [place, key])).toEqual([
      ["TASKGATE_LISTEN_TLS_CERTIFICATE", "listen.tls.certificate"],
      ["TASKGATE_LISTEN_TLS_KEY", "listen.tls.key"],
    ]);
  });

  test("that cannot be read say why", () => {
    expect(said(loadConfig({ file: join(folder, "none.yaml"), environment: {} }))).toBe(
      "none.yaml: cannot be read (ENOENT)",
    );
    mkdirSync(join(folder, "folder"), { recursive: true });
    expect(said(loadConfig({ file: join(folder, "folder"), environment: {} }))).toBe("folder: cannot be read (EISDIR)");
  });

  test("that are not text, or too long, are refused", () => {
    expect(said(loadText(Buffer.from([0x64, 0xff, 0xfe])))).toMatch(/^\d+\.yaml: is not UTF-8 text$/);
    expect(said(loadText(`# ${"x".repeat(1024 * 1024)}`))).toMatch(/has more than 1 MiB; expected a configuration$/);
    expect(said(loadConfig({ file: "/dev/zero", environment: {} }))).toMatch(/^\/dev\/zero: has more than 1 MiB/);
  });

  test("are found by TASKGATE_CONFIG where the caller names none", () => {
    const file = write("domain: from-variable\n");
    expect(load({ TASKGATE_CONFIG: file }).config?.domain).toBe("from-variable");
    expect(load({ TASKGATE_CONFIG: "" }).config?.domain).toBe("localhost");
    const other = write("domain: from-caller\n");
    expect(loadConfig({ file: other, environment: { TASKGATE_CONFIG: file } }).config?.domain).toBe("from-caller");
  });
});

describe("layers", () => {
  test("go over each other: defaults, file, environment, flags", () => {
    const file = write("domain: file\ngateHost: file\npathHost: file-path\nlog: {level: debug}\n");
    const environment = { TASKGATE_DOMAIN: "environment", TASKGATE_GATE_HOST: "environment" };
    const { config } = loadConfig({ file, environment, flags: { domain: "flag" } });
    expect(config).toMatchObject({
      domain: "flag",
      gateHost: "environment",
      pathHost: "file-path",
      log: { level: "debug" },
    });
    expect(config?.login.link).toBe(900_000);
  });

  test("read text of the environment as the type of the key", () => {
    const { config } = load({
      TASKGATE_LISTEN_PLAIN_ON_PUBLIC_ADDRESS: "true",
      TASKGATE_LISTEN_ADDRESS: "0.0.0.0:80",
      TASKGATE_LIMITS_CONNECTIONS: "5",
      TASKGATE_LOGIN_LINK: "1m",
    });
    expect(config).toMatchObject({
      listen: { plainOnPublicAddress: true, address: { host: "0.0.0.0", port: 80 } },
      limits: { connections: 5 },
      login: { link: 60_000 },
    });
  });

  test("say of wrong values who said them", () => {
    const loaded = load(
      { TASKGATE_ADMIN_ENABLED: "yes", TASKGATE_LIMITS_CONNECTIONS: "1e3" },
      { "listen.address": "7080", "listen.adress": "x" },
    );
    expect(said(loaded).split("\n").sort()).toEqual([
      'TASKGATE_ADMIN_ENABLED: admin.enabled: expected true or false, got "yes"',
      'TASKGATE_LIMITS_CONNECTIONS: limits.connections: expected a whole number from 1 to 1000000, got "1e3"',
      'command line: listen.address: expected IP:PORT, such as 127.0.0.1:7080 or [::1]:7080, got "7080"',
      "command line: listen.adress: unknown key; did you mean address?",
    ]);
  });

  test("refuse unknown variables, with the nearest right one, and never show what they hold", () => {
    const loaded = load({ TASKGATE_LISTEN_ADRESS: "hunter2", TASKGATE_SOMETHING_ELSE: "hunter2" });
    expect(said(loaded)).toBe(
      "environment: TASKGATE_LISTEN_ADRESS: unknown variable; did you mean TASKGATE_LISTEN_ADDRESS?\n" +
        "environment: TASKGATE_SOMETHING_ELSE: unknown variable",
    );
  });

  test("leave variables alone that are for others, or empty", () => {
    const loaded = load({
      TASKGATE_HOME: "/x",
      TASKGATE_TOKEN: "x",
      TASKGATE_TASK: "nb",
      TASKGATE_REPLICA: "0",
      TASKGATE_PORT_0: "1",
      TASKGATE_TEST_COUNTS: "x",
      TASKGATE_DOMAIN: "",
      TASKGATE_UNKNOWN: "",
      TASKGATE_SERVICE_HOST: "10.0.0.1",
      TASKGATE_SERVICE_PORT_HTTP: "80",
      TASKGATE_PORT: "tcp://10.0.0.1:80",
      TASKGATE_PORT_80_TCP_ADDR: "10.0.0.1",
      TASKGATES: "x",
      PATH: "/bin",
    });
    expect(loaded).toEqual(load({}));
  });

  test("do not set keys within what the file has as something else", () => {
    const loaded = loadConfig({
      file: write("listen: 7080\n"),
      environment: { TASKGATE_LISTEN_ADDRESS: "127.0.0.1:1" },
    });
    expect(said(loaded)).toMatch(/:1:9: listen: expected a section with keys, got 7080$/);
  });

  test("take entries of maps from flags, and cannot reach a prototype", () => {
    const { config } = load({}, { "tcp.services.local/echo/tcp": "20007" });
    expect(config?.tcp.services).toEqual({ "local/echo/tcp": 20007 });
    expect(load({}, { "__proto__.domain": "x" }).config).toBeNull();
    expect(({} as Record<string, unknown>).domain).toBeUndefined();
  });

  test("cannot be changed once loaded", () => {
    const { config } = loadText("files:\n  - path: /x\n");
    expect(Object.isFrozen(config)).toBe(true);
    expect(() => Object.assign(config!.files[0]!, { path: "/y" })).toThrow(TypeError);
    expect(() => Object.assign(config!.listen.address, { host: "0.0.0.0" })).toThrow(TypeError);
  });
});

test("pods that are reached by sockets of the gate's machine are nothing for Envoys elsewhere", () => {
  const text = (more: string) => `providers:\n  - type: kubernetes\n    reach: port-forward\n${more}`;
  expect(loadText(text("")).problems).toEqual([]);
  const fleet = (of: string) =>
    `dataPlane: envoy\nenvoy:\n  xds: { address: 127.0.0.1:1, gateAddress: 127.0.0.1:2 }\n  fleets: [{ name: edge, listen: 127.0.0.1:3${of} }]\n`;
  expect(loadText(text(fleet(", providers: [local]"))).problems).toEqual([]);
  expect(said(loadText(text(fleet(""))))).toContain(
    "providers.0.reach: the Envoys of fleets cannot reach pods by port-forward",
  );
});

describe("Gateways that a provider's pods are reached through", () => {
  const GATEWAY = "{ name: tasks, namespace: task-gateway, address: 203.0.113.7 }";
  const provider = (gateway: string, reach = "gateway-api") =>
    loadText(`providers:\n  - { type: kubernetes, reach: ${reach}${gateway === "" ? "" : `, gateway: ${gateway}`} }\n`);

  test("have what they need by default", () => {
    const { config, problems } = provider(`{ gateways: [${GATEWAY}] }`);
    expect(problems).toEqual([]);
    expect(config?.providers[0]?.gateway).toMatchObject({
      gateways: [{ name: "tasks", namespace: "task-gateway", address: "203.0.113.7" }],
      ports: { from: 32_768, to: 65_535 },
      listenerSets: "auto",
    });
  });

  test.each([
    ["", "gateway-api", "providers[0].gateway: is needed by reach: gateway-api: name the Gateways"],
    [`{ gateways: [${GATEWAY}] }`, "direct", "providers[0].gateway: is for reach: gateway-api alone; reach is direct"],
    ["{ gateways: [] }", "gateway-api", "providers[0].gateway.gateways: expected at least one Gateway"],
    [
      `{ gateways: [${GATEWAY}, ${GATEWAY}] }`,
      "gateway-api",
      "providers[0].gateway.gateways[1]: Gateway task-gateway/tasks is named twice",
    ],
    [
      `{ gateways: [${GATEWAY}], ports: 1024-2000 }`,
      "gateway-api",
      "providers[0].gateway.ports: expected ports from 1025 to 65535",
    ],
    [`{ gateways: [${GATEWAY}], ports: 3000-2000 }`, "gateway-api", "providers[0].gateway.ports: expected 1"],
    [
      `{ gateways: [${GATEWAY}], listenerSets: yes }`,
      "gateway-api",
      "providers[0].gateway.listenerSets: expected auto, never or only",
    ],
    [
      `{ gateways: [${GATEWAY.replace("203.0.113.7", '"203.0.113.7:80"')}] }`,
      "gateway-api",
      "providers[0].gateway.gateways[0].address: expected an IP address or a host name",
    ],
    [
      `{ gateways: [${GATEWAY.replace("tasks,", "Tasks,")}] }`,
      "gateway-api",
      "providers[0].gateway.gateways[0].name: expected the name of an object of Kubernetes",
    ],
  ])("are refused as %s with reach %s, in words", (gateway, reach, message) => {
    expect(said(provider(gateway, reach))).toContain(message);
  });

  test("may be at a host name, or where a tunnel begins", () => {
    for (const address of ["gateway.example.com", "127.0.0.1", '"2001:db8::1"']) {
      expect(provider(`{ gateways: [${GATEWAY.replace("203.0.113.7", address)}] }`).problems).toEqual([]);
    }
  });
});

describe("addresses", () => {
  test.each(["127.0.0.1:0", "127.8.9.10:80", "[::1]:80", "localhost:80"])("%s is loopback", (address) => {
    expect(load({}, { "listen.address": address, "admin.enabled": "false" }).problems).toEqual([]);
  });

  test.each(["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "128.0.0.1:80", "[::ffff:10.0.0.1]:80", "[fe80::1]:80"])(
    "%s is not, and needs TLS or the key that allows it",
    (address) => {
      const refused = load({}, { "listen.address": address });
      expect(refused.config).toBeNull();
      expect(said(refused)).toContain("set listen.plainOnPublicAddress to true");
      const allowed = load({}, { "listen.address": address, "listen.plainOnPublicAddress": "true" });
      expect(allowed.problems).toEqual([]);
      const admin = load({}, { "admin.address": address });
      expect(said(admin)).toContain("is not loopback: metrics and health checks ask nobody");
    },
  );

  test.each(["1.2.3:80", "999.1.1.1:80", "[::g]:80", "127.0.0.1:99999", "127.0.0.1", ":80", "[127.0.0.1]:80x"])(
    "%s is none",
    (address) => {
      expect(load({}, { "listen.address": address }).config).toBeNull();
    },
  );

  test("of the admin port does not matter while that is off", () => {
    expect(load({}, { "admin.enabled": "false", "admin.address": "0.0.0.0:7080" }).problems).toEqual([]);
  });

  test("with port 0 never clash", () => {
    expect(load({}, { "listen.address": "127.0.0.1:0", "admin.address": "127.0.0.1:0" }).problems).toEqual([]);
  });
});

describe("TLS files", () => {
  const place = (mode: number): { certificate: string; key: string } => {
    const certificate = write("certificate");
    const key = write("key");
    chmodSync(key, mode);
    return { certificate, key };
  };
  const loadTls = (tls: { certificate: string; key: string }): Loaded =>
    loadText(JSON.stringify({ listen: { address: "0.0.0.0:443", tls } }));

  test("that only their owner reads are right", () => {
    expect(loadTls(place(0o600)).problems).toEqual([]);
  });

  test("that others read are a warning, and no more", () => {
    const loaded = loadTls(place(0o640));
    expect(loaded.config).not.toBeNull();
    expect(loaded.problems).toMatchObject([{ severity: "warning", key: "listen.tls.key", line: 1 }]);
    expect(said(loaded)).toContain("warning: listen.tls.key: others can read the file (mode 640); run chmod 600 on it");
  });

  test("that are not there, or folders, are errors", () => {
    const { certificate } = place(0o600);
    const loaded = loadTls({ certificate: folder, key: `${certificate}.none` });
    expect(loaded.config).toBeNull();
    expect(said(loaded)).toContain("listen.tls.certificate: is no file; expected a file in PEM");
    expect(said(loaded)).toContain("listen.tls.key: the file cannot be read (ENOENT)");
  });
});

test("the example is right, and sets what it says", () => {
  const { config, problems } = loadConfig({
    file: join(import.meta.dirname, "../../examples/config.yaml"),
    environment: {},
  });
  expect(formatConfigProblems(problems)).toBe("");
  expect(config).toMatchObject({ domain: "apps.example.com", files: [{ name: "team" }], local: { logFiles: 5 } });
});
