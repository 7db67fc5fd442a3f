import type { Exposure, Service } from "../model/index.ts";
import { LIMITS } from "./limits.ts";
import { readAccess } from "./read-access.ts";
import { PATH, readPolicy } from "./read-policy.ts";
import {
  readBoolean,
  readChoice,
  readFields,
  readInteger,
  readList,
  readText,
  readWord,
  Unusable,
  whyUnusable,
  type Fields,
} from "./read-value.ts";
import type { Writable } from "./writable.ts";

const PROTOCOLS = ["http", "grpc", "tcp", "tls"] as const;
const GUARDS = ["gate", "self"] as const;
const NO_EXPOSURES = Object.freeze({ exposures: Object.freeze([]), refused: Object.freeze([]) });

/** Names of services: in task keys and hosts, so without `/`, `@` and blanks. */
export const SERVICE_NAME = { is: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, example: "a name such as web" };

export interface ReadService {
  readonly service: Service;
  /** Why some of the exposures are left out. */
  readonly refused: readonly string[];
}

/** A copy. `mayGuardItself`: http and grpc too may do without the gate's login. Throws Unusable. */
export function readService(fields: Fields, name: string, mayGuardItself: boolean): ReadService {
  const protocol = readChoice(fields.protocol, "protocol", PROTOCOLS);
  const guard = readChoice(fields.guard, "guard", GUARDS);
  if (guard === "self" && (protocol === "http" || protocol === "grpc") && !mayGuardItself) {
    throw new Unusable(
      `guard is self; expected gate, because the gate asks for a login wherever ${protocol} can carry one.`,
    );
  }
  const { exposures, refused } = readExposures(fields.exposures);
  const service: Writable<Service> = { name, protocol, guard, exposures, policy: readPolicy(fields.policy) };
  // Set one by one: spreading optional parts into a literal costs several times as much, and every service comes through here.
  if (fields.port !== undefined) service.port = readInteger(fields.port, "port", 1, 65_535);
  if (fields.landingPath !== undefined) service.landingPath = readWord(fields.landingPath, "landingPath", PATH);
  if (fields.awaited === true) service.awaited = true;
  if (fields.access !== undefined) service.access = readAccess(fields.access);
  return { service, refused };
}

function readExposures(value: unknown): { exposures: readonly Exposure[]; refused: readonly string[] } {
  const values = readList(value, "exposures", LIMITS.exposuresPerService);
  if (values.length === 0) return NO_EXPOSURES;
  const exposures: Exposure[] = [];
  const refused: string[] = [];
  for (const one of values) {
    try {
      exposures.push(readExposure(readFields(one, "exposure")));
    } catch (error) {
      refused.push(whyUnusable(error));
    }
  }
  return { exposures: exposures.slice(), refused };
}

function readExposure(fields: Fields): Exposure {
  const by = readChoice(fields.by, "by", ["host", "path", "serverName", "port", "headers"]);
  switch (by) {
    case "host": {
      const domain = fields.domain;
      const label = readText(fields.label, "label", 63);
      return { by, label, ...(domain !== undefined && { domain: readText(domain, "domain", 253) }) };
    }
    case "path": {
      const host = fields.host;
      return {
        by,
        ...(host !== undefined && { host: readText(host, "host", 253) }),
        prefix: readText(fields.prefix, "prefix", 512),
        strip: readBoolean(fields.strip, "strip"),
      };
    }
    case "serverName":
      return { by, name: readText(fields.name, "name", 253) };
    case "port": {
      const port = fields.port;
      return { by, ...(port !== undefined && { port: readInteger(port, "port", 1, 65_535) }) };
    }
    case "headers": {
      const all = readList(fields.all, "all", LIMITS.headersPerExposure);
      return { by, all: all.map(readHeader) };
    }
  }
}

function readHeader(value: unknown): readonly [string, string] {
  const pair = readList(value, "header", 2);
  return [readText(pair[0], "header name", 128), readText(pair[1], "header value", 512)] as const;
}
