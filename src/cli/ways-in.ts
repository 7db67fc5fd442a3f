import type { ServiceView, TaskView } from "../api/wire.ts";
import type { GateFile, Home } from "../config/home.ts";
import { bracketed } from "../model/host-port.ts";
import { dialAddress } from "./running-gate.ts";
import { printable, type Colors, type Environment } from "./terminal.ts";
import { becameOf, wayIn } from "./task-table.ts";

export interface WaysInDeps {
  readonly gate: GateFile;
  readonly home: Home;
  readonly environment: Environment;
  readonly colors: Colors;
}

/** What is printed of a task that runs: where it is, how to open it, and a line that works as it stands when copied. */
export function describeWaysIn(task: TaskView, deps: WaysInDeps): string {
  const { colors } = deps;
  const head = `${colors.bold(printable(task.name))} ${becameOf(task)}`;
  if (task.state === "finished" || task.state === "failed") {
    return `${head}: ${printable(task.reason ?? "no reason is known")}. Its log: taskgate logs ${task.name}`;
  }
  if (task.services.length === 0) {
    return `${head}; it listens on no port yet. Those that it opens appear by themselves: taskgate ps`;
  }
  const services = task.services.map(
    (service) => `  ${printable(service.name).padEnd(10)} ${wayIn(task, service, colors)}`,
  );
  return [head, ...services, "", ...hints(task, deps)].join("\n");
}

function hints(task: TaskView, deps: WaysInDeps): string[] {
  const page = task.services.find((service) => service.protocol === "http" && service.url !== null);
  const copied = task.services.map((service) => copyLine(task, service, deps)).find((line) => line !== null);
  return [
    ...(page === undefined ? [] : ["In a browser, logged in:", `  taskgate open ${task.name}`]),
    ...(copied === undefined ? [] : ["From a program:", `  ${copied}`]),
    ...(task.controllable ? ["Its log:", `  taskgate logs -f ${task.name}`] : []),
  ];
}

/**
 * A command for a service, to be copied: it dials the address with a Host header, because browsers resolve `NAME.localhost` and many
 * programs do not. null where there is none.
 */
export function copyLine(task: TaskView, service: ServiceView, deps: WaysInDeps): string | null {
  if (service.protocol === "http" && service.host !== null && service.port !== null) {
    return service.url?.startsWith("https:") === true ? secureCurl(service, deps) : plainCurl(service, deps);
  }
  if (service.protocol === "grpc" && service.host !== null && service.port !== null && !deps.gate.secure) {
    return `grpcurl -plaintext -authority ${service.host}${bearer(service, deps)} ${dial(service, deps)}:${service.port} list`;
  }
  if (service.url === null && service.forward !== null) return `taskgate forward ${task.name}/${service.name}`;
  return null;
}

function plainCurl(service: ServiceView, deps: WaysInDeps): string {
  return `curl -H "Host: ${service.host ?? ""}"${bearer(service, deps)} http://${dial(service, deps)}:${service.port ?? 0}${pathOf(service)}`;
}

/** TLS names the host in the handshake too: curl keeps the URL, and is told where to connect and whom to trust. */
function secureCurl(service: ServiceView, deps: WaysInDeps): string {
  const { certificateFile } = deps.gate;
  const trust = certificateFile === undefined ? "" : ` --cacert ${shellWord(certificateFile)}`;
  const where = `--connect-to "::${dial(service, deps)}:${service.port ?? 0}"`;
  return `curl${trust} ${where}${bearer(service, deps)} "${service.url ?? ""}"`;
}

/** An IPv6 address stands in brackets. */
function dial(service: ServiceView, deps: WaysInDeps): string {
  return bracketed(service.dial ?? dialAddress(deps.gate));
}

function pathOf(service: ServiceView): string {
  const path = service.url === null ? "/" : new URL(service.url).pathname;
  return /^[\w/.~%-]*$/.test(path) ? path : "/";
}

/** The token by its file or variable, never by its value: what is copied lands in histories. */
function bearer(service: ServiceView, deps: WaysInDeps): string {
  if (!service.login) return "";
  const given = (deps.environment.TASKGATE_TOKEN ?? "") !== "";
  const token = given ? "$TASKGATE_TOKEN" : `$(cat ${shellWord(deps.home.token)})`;
  return ` -H "Authorization: Bearer ${token}"`;
}

/** One word for a shell, whatever is in it: for lines that are copied. */
export function shellWord(text: string): string {
  return /^[\w/.@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
