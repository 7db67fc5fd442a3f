import { readFileSync } from "node:fs";
import type { RequestOptions } from "node:https";
import type { ConnectionOptions } from "node:tls";
import { readGateFile, type GateFile, type Home } from "../config/home.ts";
import { dialOf } from "../config/site.ts";
import { hostPort } from "../model/host-port.ts";
import { isSameProcess } from "../platform/process-identity.ts";
import { Secret } from "../platform/secret.ts";
import { CommandFailure, EXIT } from "./failure.ts";
import { isElsewhere } from "./remote-gates.ts";
import type { Environment } from "./terminal.ts";

/** running: that very process lives. stale: its file is there, and it is not (kill -9, power loss). */
export type GateState =
  | { readonly state: "running"; readonly gate: GateFile }
  | { readonly state: "stale"; readonly gate: GateFile }
  | { readonly state: "none" };

/** What the state folder says of its gate. */
export function findGate(home: Home): GateState {
  const gate = readGateFile(home);
  if (gate === null) return { state: "none" };
  return { state: isSameProcess(gate.pid, gate.processStart) ? "running" : "stale", gate };
}

/** The gate of the state folder. Throws `noGate` where none runs. */
export function requireGate(home: Home): GateFile {
  const found = findGate(home);
  if (found.state === "running") return found.gate;
  const why =
    found.state === "stale"
      ? `the gate of ${home.directory} (pid ${found.gate.pid}) is gone`
      : `no gate runs for ${home.directory}`;
  throw new CommandFailure(EXIT.noGate, why, {
    remedy: "taskgate up --background (tasks that ran go on, and are taken in again)",
  });
}

/** What `TASKGATE_TOKEN` says; null: nothing. Throws `denied` for what can be no token. */
export function givenToken(environment: Environment): Secret | null {
  const given = environment.TASKGATE_TOKEN?.trim() ?? "";
  return given === "" ? null : checkedToken(given, "TASKGATE_TOKEN");
}

/** The command line's login: `TASKGATE_TOKEN`, else the file of the state folder. Read anew each time: it may be changed meanwhile. */
export function readToken(home: Home, environment: Environment): Secret {
  const given = givenToken(environment);
  if (given !== null) return given;
  let text: string;
  try {
    text = readFileSync(home.token, "utf8").trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    throw new CommandFailure(EXIT.denied, `cannot read the token in ${home.token} (${code})`, {
      remedy: "set TASKGATE_TOKEN, or restart the gate: it writes the file when it starts",
      cause: error,
    });
  }
  return checkedToken(text, home.token);
}

/** A token goes into a header: anything else in its place would be an error that shows it, or a second header. */
function checkedToken(token: string, from: string): Secret {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new CommandFailure(EXIT.denied, `what ${from} holds is no token`, { remedy: "taskgate doctor" });
  }
  return new Secret(token);
}

/** What a request to its API dials, and how that is secured. */
export function dialApi(gate: GateFile): { readonly options: RequestOptions; readonly secure: boolean } {
  const { apiSocket, port, secure } = gate;
  if (apiSocket !== undefined) return { options: { socketPath: apiSocket }, secure: false };
  return { options: { host: dialAddress(gate), port, ...(secure ? tlsOptions(gate) : {}) }, secure };
}

/** What to dial. */
export function dialAddress(gate: GateFile): string {
  return dialOf(gate.address);
}

/** What to dial and the port, as in a URL. */
export function dialHostPort(gate: GateFile): string {
  return hostPort(dialAddress(gate), gate.port);
}

/** Host header for a host of this gate. */
export function hostHeader(gate: GateFile, host: string): string {
  return gate.port === (gate.secure ? 443 : 80) ? host : `${host}:${gate.port}`;
}

/**
 * How to know a gate that serves TLS: by the system's authorities, and by its own certificate file, so that a self-signed one and one of a
 * private authority work without trusting anything else.
 */
export function tlsOptions(gate: GateFile): ConnectionOptions {
  if (gate.certificateFile === undefined) return { servername: gate.gateHost };
  try {
    const { X509Certificate } = process.getBuiltinModule("node:crypto"); // loaded for a TLS gate alone
    const { checkServerIdentity } = process.getBuiltinModule("node:tls");
    const ca = readFileSync(gate.certificateFile);
    const own = new X509Certificate(ca).raw;
    return {
      servername: gate.gateHost,
      ca,
      allowPartialTrustChain: true,
      // The gate's very certificate is the gate, whatever names it holds: Node takes no wildcard right below a top-level name (*.localhost).
      checkServerIdentity: (host, peer) => (peer.raw.equals(own) ? undefined : checkServerIdentity(host, peer)),
    };
  } catch {
    // Not readable for this user: the system's authorities are asked, and their refusal says what is wrong.
    return { servername: gate.gateHost };
  }
}

/** The codes of TLS for a peer that is not who it should be: https://nodejs.org/api/tls.html#x509-certificate-error-codes. */
const UNTRUSTED = /CERT|UNABLE_TO_|SELF_SIGNED|CRL|ERR_TLS/;

/**
 * What a request that got no answer comes to: `noGate`, which may be over in a moment; but a certificate that is not the gate's is a
 * failure, and stays one.
 */
export function noAnswer(gate: GateFile, cause: unknown): CommandFailure {
  const { code, name, message } = cause as NodeJS.ErrnoException;
  const why = name === "TimeoutError" || name === "AbortError" ? "not in time" : (code ?? message);
  const where = dialHostPort(gate);
  if (code !== undefined && UNTRUSTED.test(code)) {
    return new CommandFailure(
      EXIT.failure,
      `what answers at ${where} shows a certificate that is not trusted (${code})`,
      {
        remedy: "listen.tls.certificate holds the whole chain? NODE_EXTRA_CA_CERTS names an authority of your own",
        cause,
      },
    );
  }
  const called = isElsewhere(gate) ? `the gate ${gate.url}` : `the gate (pid ${gate.pid})`;
  return new CommandFailure(EXIT.noGate, `${called} does not answer at ${where} (${why})`, {
    remedy: isElsewhere(gate) ? `taskgate login ${gate.url}` : "taskgate doctor",
    cause,
  });
}
