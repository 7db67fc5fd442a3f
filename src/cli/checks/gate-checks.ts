import { once } from "node:events";
import { createServer } from "node:net";
import type { GateFile, Home } from "../../config/home.ts";
import type { Config } from "../../config/schema.ts";
import { hostPort } from "../../model/host-port.ts";
import { type ApiClient, createApiClient } from "../api-client.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { ownVersion } from "../../platform/package-info.ts";
import { isLoopback } from "../../platform/target-check.ts";
import { findGate, readToken } from "../running-gate.ts";
import type { Environment } from "../terminal.ts";
import { checkDomain } from "./domain-check.ts";
import { fail, ok, warn, type Finding } from "./finding.ts";
import { checkReaches } from "./reach-checks.ts";

export interface GateCheckDeps {
  readonly home: Home;
  readonly environment: Environment;
  /** null: it cannot be used, so there are no ports to look at. */
  readonly config: Config | null;
}

/** The gate that runs: whether it answers, takes the token, is of this version and open to no more than it should be. Else whether one could start. */
export async function checkGate(deps: GateCheckDeps, signal: AbortSignal): Promise<readonly Finding[]> {
  const found = findGate(deps.home);
  if (found.state === "running") {
    return [...(await checkAnswer(deps, found.gate, signal)), checkVersion(found.gate), ...checkExposure(found.gate)];
  }
  const gone =
    found.state === "stale"
      ? warn(
          "gate",
          `the gate (pid ${found.gate.pid}) ended without saying so`,
          "taskgate up: it takes in what still runs",
        )
      : warn("gate", `no gate runs for ${deps.home.directory}`, "taskgate up");
  return [gone, ...(deps.config === null ? [] : await checkPorts(deps.config))];
}

async function checkAnswer(deps: GateCheckDeps, gate: GateFile, signal: AbortSignal): Promise<Finding[]> {
  const from = (deps.environment.TASKGATE_TOKEN ?? "") === "" ? deps.home.token : "TASKGATE_TOKEN";
  let reaches: readonly Finding[];
  try {
    const client = createApiClient({ gate, token: readToken(deps.home, deps.environment) });
    await client.tasks(signal);
    reaches = await lookAtReaches(client, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof CommandFailure)) throw error;
    if (error.exitCode !== EXIT.denied)
      return [fail("gate", error.message, `look into ${deps.home.gateLog}, or: taskgate stop --gate`)];
    return [
      ok("gate", `answers at ${gate.url} (pid ${gate.pid})`),
      fail(
        "token",
        `${error.message} (token from ${from})`,
        "unset TASKGATE_TOKEN, or restart the gate: it writes the file anew",
      ),
    ];
  }
  return [
    ok("gate", `answers at ${gate.url} (pid ${gate.pid})`),
    ok("token", `the token from ${from} is good`),
    ...reaches,
  ];
}

/** A gate that knows nothing of reaches is of an earlier version, which is told elsewhere; one that does not tell these is asked by no administrator. */
async function lookAtReaches(client: ApiClient, signal: AbortSignal): Promise<readonly Finding[]> {
  try {
    return checkReaches(await client.reaches(signal));
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof CommandFailure)) throw error;
    return error.exitCode === EXIT.denied
      ? [warn("reach", `${error.message}: not looked at`, "run it with an administrator's token")]
      : [];
  }
}

function checkVersion(gate: GateFile): Finding {
  const own = ownVersion();
  if (gate.version === own) return ok("version", `gate and command line are both ${own}`);
  return warn(
    "version",
    `the gate is ${gate.version}, the command line ${own}`,
    "taskgate stop --gate && taskgate up --background",
  );
}

function checkExposure(gate: GateFile): Finding[] {
  const findings: Finding[] = [];
  const where = hostPort(gate.address, gate.port);
  if (isLoopback(gate.address)) findings.push(ok("exposure", `listens on ${where}: this machine only`));
  else if (gate.secure) findings.push(ok("exposure", `listens on ${where} with TLS`));
  else {
    findings.push(
      warn(
        "exposure",
        `listens on ${where} without TLS: logins cross the network unencrypted`,
        "listen.tls in the configuration",
      ),
    );
  }
  findings.push(checkDomain(gate.domain));
  return findings;
}

async function checkPorts(config: Config): Promise<Finding[]> {
  const findings = [await checkPort(config.listen.address)];
  if (config.admin.enabled) findings.push(await checkPort(config.admin.address));
  return findings;
}

async function checkPort(address: { readonly host: string; readonly port: number }): Promise<Finding> {
  const where = hostPort(address.host, address.port);
  const server = createServer();
  try {
    server.listen({ host: address.host, port: address.port });
    await once(server, "listening");
    return ok("ports", `${where} is free`);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    return fail(
      "ports",
      `${where} cannot be listened on (${code})`,
      "another address: taskgate up --listen 127.0.0.1:PORT",
    );
  } finally {
    server.close();
  }
}
