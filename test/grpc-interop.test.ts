import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import { grpcInterop, type GrpcInterop } from "../testbed/go/environment.ts";
import { cleanEnvironment, run, startTestGate, until, type Ran, type TestGate } from "./support/gate.ts";

type Entrance = "clear" | "tls";
/** The one needs a login, the other is public. */
type Task = "rpc" | "open";

const hostOf = (task: Task) => `${task}.localhost`;

/** Cases of grpc-go's client. https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md */
const CASES = [
  "empty_unary",
  "large_unary",
  "client_streaming",
  "server_streaming",
  "ping_pong",
  "empty_stream",
  "timeout_on_sleeping_server",
  "cancel_after_begin",
  "cancel_after_first_response",
  "status_code_and_message",
  "special_status_message",
  "custom_metadata",
  "unimplemented_method",
  "unimplemented_service",
  "orca_per_rpc",
] as const;
/** Asks the server for its name, which the Go server never tells: it fails without a gate in between, too. */
const NEEDS_ANOTHER_SERVER = ["pick_first_unary"];
/** Not in its help. */
const SOAKS = ["rpc_soak", "channel_soak"] as const;
/** Need an account of a cloud. */
const NEEDS_CLOUD = [
  "compute_engine_creds",
  "service_account_creds",
  "jwt_token_creds",
  "per_rpc_creds",
  "oauth2_auth_token",
  "google_default_credentials",
  "compute_engine_channel_credentials",
];
/** What the client compares load reports with comes from this balancer of its own. */
const ORCA = ['-service_config_json={"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'];
/** Bounded, and with time for a busy machine. */
const SOAK = [
  ...["-soak_iterations=60", "-soak_num_threads=3", "-soak_overall_timeout_seconds=40"],
  "-soak_per_iteration_max_acceptable_latency_ms=5000",
];

let programs: GrpcInterop;
let folder: string;
let certificate: string;
const gates: Partial<Record<Entrance, TestGate>> = {};

beforeAll(async () => {
  programs = await grpcInterop();
  folder = mkdtempSync(join(tmpdir(), "tg-interop-"));
  const pem = selfSigned([hostOf("rpc"), hostOf("open")]);
  certificate = join(folder, "tls.crt");
  writeFileSync(certificate, pem.certificate);
  writeFileSync(join(folder, "tls.key"), pem.key);
  const tls = { certificate, key: join(folder, "tls.key") };
  for (const [name, listen] of [
    ["clear", {}],
    ["tls", { tls }],
  ] as const) {
    const config = join(folder, `${name}.yaml`);
    writeFileSync(config, JSON.stringify({ listen }));
    const gate = (gates[name] = await startTestGate({ config }));
    for (const [task, access] of [
      ["rpc", []],
      ["open", ["--access", "public"]],
    ] as const) {
      const command = ["sh", "-c", `exec '${programs.server}' -port "$PORT"`];
      await gate.json("run", "--name", task, "--service", "api=grpc", ...access, "--", ...command);
      await until(async () => (await play(name, "empty_unary", { task })).code === 0, `the interop server of ${task}`);
    }
  }
}, 1_800_000);

afterAll(async () => {
  for (const gate of Object.values(gates)) await gate[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function gateOf(name: Entrance): TestGate {
  const gate = gates[name];
  if (gate === undefined) throw new Error(`no gate ${name}`);
  return gate;
}

interface Options {
  /** The service; the one that is not public gets the owner's token with every call. */
  readonly task?: Task;
  readonly more?: readonly string[];
  readonly anonymous?: boolean;
}

/** One case through the gate. In the clear, where no name leads to an address, the id header says which service is meant. */
function play(entrance: Entrance, testCase: string, options: Options = {}): Promise<Ran> {
  const { task = "rpc", more = [], anonymous = task === "open" } = options;
  const gate = gateOf(entrance);
  const metadata = [
    ...(anonymous ? [] : [`x-taskgate-authorization:Bearer ${gate.token()}`]),
    ...(entrance === "clear" ? [`x-taskgate-service:${task}`] : []),
  ];
  const tls = ["-use_tls", "-use_test_ca", `-ca_file=${certificate}`, `-server_host_override=${hostOf(task)}`];
  const args = [
    ...[`-test_case=${testCase}`, "-server_host=127.0.0.1", `-server_port=${String(gate.file().port)}`],
    ...(metadata.length > 0 ? [`-additional_metadata=${metadata.join(";")}`] : []),
    ...(entrance === "tls" ? tls : []),
    ...more,
  ];
  const quiet = { GRPC_GO_LOG_SEVERITY_LEVEL: "error" };
  return run("timeout", ["60", programs.client, ...args], { ...cleanEnvironment(), ...quiet });
}

test("plays every case that the client has, but those that need an account of a cloud or another server", async () => {
  const { stderr } = await run(programs.client, ["-help"], cleanEnvironment());
  const listed = [...stderr.matchAll(/^\s+([a-z]\w+) ?: [a-zA-Z]/gm)].map(([, name]) => name);
  expect(new Set([...CASES, "orca_oob", ...NEEDS_CLOUD, ...NEEDS_ANOTHER_SERVER])).toEqual(new Set(listed));
});

/** The client's balancer asks for reports on a stream of its own, without additional metadata: only the host can say what is meant. */
test("gRPC's interop case orca_oob through the gate", async () => {
  expect(await play("tls", "orca_oob", { task: "open", more: ORCA })).toMatchObject({ code: 0 });
});

describe.each(["clear", "tls"] as const)("gRPC's interop cases through the gate: %s", (entrance) => {
  test.each(CASES)("%s", async (testCase) => {
    const more = testCase.startsWith("orca_") ? ORCA : [];
    expect(await play(entrance, testCase, { more })).toMatchObject({ code: 0 });
  });

  test.each(SOAKS)("%s", async (testCase) => {
    expect(await play(entrance, testCase, { more: SOAK })).toMatchObject({ code: 0 });
  });

  test("lets anybody call a public service, and nobody else's without a login", async () => {
    expect(await play(entrance, "ping_pong", { task: "open" })).toMatchObject({ code: 0 });
    const refused = await play(entrance, "empty_unary", { anonymous: true });
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("Unauthenticated");
  });
});
