/** Where the gate stands, as its visitors see it. */
export interface Site {
  /** Services are at NAME.domain. */
  readonly domain: string;
  /** The gate's own page and API. */
  readonly gateHost: string;
  /** Services in path mode. */
  readonly pathHost: string;
  /** Visitors speak TLS: to the gate, or to a front before it. */
  readonly secure: boolean;
  /** What visitors dial: of the gate, or of the front before it. */
  readonly port: number;
  /** What visitors of gRPC services dial, where a front has another port for them. Absent: `port`. */
  readonly grpcPort?: number;
  /** An address that reaches the port, for programs that do not resolve the hosts: `127.0.0.1`. */
  readonly dial: string;
}

/** `http://nb.localhost:7080`: without the port where it is the scheme's own. */
export function originOf({ secure, port }: Pick<Site, "secure" | "port">, host: string): string {
  const standard = secure ? 443 : 80;
  return `${secure ? "https" : "http"}://${host}${port === standard ? "" : `:${String(port)}`}`;
}

/** Prefix of what belongs to the gate on every host: never forwarded to a job. */
export const GATE_PATH = "/.taskgate/";
