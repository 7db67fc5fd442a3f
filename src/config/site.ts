import type { Site } from "../model/index.ts";
import type { Config } from "./schema.ts";

/** Where the gate stands as its visitors see it, with the defaults that follow from the domain. `port` is the one that is bound. */
export function siteOf(config: Config, port: number): Site {
  const { domain, listen } = config;
  return {
    domain,
    gateHost: config.gateHost ?? `taskgate.${domain}`,
    pathHost: config.pathHost ?? `paths.${domain}`,
    secure: listen.tls !== undefined,
    port,
    dial: dialable(listen.address.host),
  };
}

/** Listening everywhere, the gate is dialled here on loopback. */
function dialable(host: string): string {
  if (host === "0.0.0.0" || host === "localhost") return "127.0.0.1";
  return host === "::" ? "::1" : host;
}
