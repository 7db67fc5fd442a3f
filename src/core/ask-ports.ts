import type { Access, Service } from "../model/index.ts";
import { mayHoldPort, type TableRules } from "./table-rules.ts";

export interface AskedPorts {
  /** Ports asked for by number. */
  readonly exact: readonly number[];
  /** One more, whichever is free. */
  readonly any: boolean;
  /** Why the others are refused. */
  readonly refused: readonly string[];
}

const NOTHING: AskedPorts = Object.freeze({ exact: [], any: false, refused: [] });

/**
 * The raw ports that a service may have. A raw port carries no login: whoever reaches it is in. So it is only for tcp services that
 * everyone may use, or that config names.
 */
export function askPorts(key: string, service: Service, access: Access, rules: TableRules): AskedPorts {
  if (service.exposures.length === 0 && rules.namedPorts.size === 0) return NOTHING;
  const named = rules.namedPorts.get(key);
  const wishes = service.exposures.filter((exposure) => exposure.by === "port");
  if (named === undefined && wishes.length === 0) return NOTHING;
  if (service.protocol !== "tcp") {
    return { ...NOTHING, refused: [`It speaks ${service.protocol}; only tcp services get a raw port.`] };
  }
  if (named === undefined && access.anyone !== "public") {
    const remedy = `make it public, or name ${key} in the config's tcp.services`;
    return {
      ...NOTHING,
      refused: [`A raw port carries no login, and not everyone may use it. Use forward; else ${remedy}.`],
    };
  }
  const numbers = wishes.flatMap((wish) => wish.port ?? []);
  const { exact, refused } = askExact(key, typeof named === "number" ? [named, ...numbers] : numbers, rules);
  const any = exact.length === 0 && (named === "auto" || numbers.length < wishes.length);
  return { exact, any, refused };
}

function askExact(key: string, numbers: readonly number[], rules: TableRules): Omit<AskedPorts, "any"> {
  const exact: number[] = [];
  const refused: string[] = [];
  for (const port of new Set(numbers)) {
    if (mayHoldPort(rules, key, port)) exact.push(port);
    else refused.push(portRefusal(port, rules));
  }
  return { exact, refused };
}

function portRefusal(port: number, rules: TableRules): string {
  const { from, to } = rules.ports;
  if (rules.reservedPorts.has(port))
    return `Port ${port} is kept for another service by the config; leave the number out.`;
  return `Port ${port} is outside of ${from}-${to}; ask for one within, or leave the number out.`;
}
