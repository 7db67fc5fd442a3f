/** Where the gate stands, as its visitors see it. */
export interface Site {
  /** Services are at NAME.domain. */
  readonly domain: string;
  /** The gate's own page and API. */
  readonly gateHost: string;
  /** Services in path mode. */
  readonly pathHost: string;
  readonly secure: boolean;
  /** What visitors dial. */
  readonly port: number;
  /** An address that reaches the port, for programs that do not resolve the hosts: `127.0.0.1`. */
  readonly dial: string;
}

/** `http://nb.localhost:7080`: without the port where it is the scheme's own. */
export function originOf(site: Site, host: string): string {
  const standard = site.secure ? 443 : 80;
  return `${site.secure ? "https" : "http"}://${host}${site.port === standard ? "" : `:${String(site.port)}`}`;
}

/** Prefix of what belongs to the gate on every host: never forwarded to a job. */
export const GATE_PATH = "/.taskgate/";
