import { isIPv6 } from "node:net";
import type { Site } from "../model/index.ts";
import type { Config } from "./schema.ts";

/** The gate's hosts, where they are not set: `taskgate.DOMAIN` and `paths.DOMAIN`. */
export function hostsOf(config: {
  readonly domain: string;
  readonly gateHost?: string | undefined;
  readonly pathHost?: string | undefined;
}): Pick<Site, "domain" | "gateHost" | "pathHost"> {
  const { domain, gateHost = `taskgate.${domain}`, pathHost = `paths.${domain}` } = config;
  return { domain, gateHost, pathHost };
}

/** Where the gate stands once it listens on `port`. */
export function siteOf(config: Pick<Config, "domain" | "gateHost" | "pathHost" | "listen">, port: number): Site {
  const { listen } = config;
  const hosts = hostsOf(config);
  if (listen.public === undefined) {
    return { ...hosts, secure: listen.tls !== undefined, port, dial: dialOf(listen.address.host) };
  }
  const { scheme = "https", grpcPort, address = hosts.gateHost } = listen.public;
  const secure = scheme === "https";
  return {
    ...{ ...hosts, secure, port: listen.public.port ?? (secure ? 443 : 80), dial: address },
    ...(grpcPort !== undefined && { grpcPort }),
  };
}

/** What to dial of what is listened on: nobody can dial "any address", but the gate's own machine reaches it by loopback. */
export function dialOf(host: string): string {
  if (isAnyAddress(host)) return isIPv6(host) ? "::1" : "127.0.0.1";
  return host === "localhost" ? "127.0.0.1" : host;
}

/** Whether it stands for all addresses of a machine: it can be listened on, and not dialled. */
export function isAnyAddress(host: string): boolean {
  return host === "0.0.0.0" || (isIPv6(host) && /^[0:]+$/.test(host));
}
