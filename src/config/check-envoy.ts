import { hostPort } from "../model/index.ts";
import { isLoopback } from "../platform/target-check.ts";
import { dotted } from "./config-keys.ts";
import type { Finding } from "./describe-issue.ts";
import type { EnvoyConfig } from "./envoy-config.ts";
import type { Config } from "./schema.ts";
import { clash, type HostPort } from "./units.ts";

const LOCAL = "local";

/** What is wrong between the keys of `envoy`, and with others. */
export function checkEnvoy(config: Partial<Config>): Finding[] {
  const { envoy } = config;
  if (envoy === undefined) return [];
  return [
    ...checkAddresses(envoy, config),
    ...checkFleets(envoy, config),
    ...checkServed(envoy, config),
    ...checkReach(envoy, config),
  ];
}

function checkAddresses({ xds }: EnvoyConfig, config: Partial<Config>): Finding[] {
  const { address, gateAddress } = xds;
  if (address === undefined && gateAddress === undefined) return [];
  if (address === undefined || gateAddress === undefined) {
    const missing = address === undefined ? "address" : "gateAddress";
    return [finding(["envoy", "xds", missing], "address and gateAddress belong together: expected both or none")];
  }
  const taken = {
    "listen.address": config.listen?.address,
    "admin.address": config.admin?.enabled === true ? config.admin.address : undefined,
  };
  const secure = xds.tls !== undefined;
  return [
    ...checkAddress("address", address, { secure, taken }),
    ...checkAddress("gateAddress", gateAddress, { secure, taken: { ...taken, "envoy.xds.address": address } }),
  ];
}

function checkAddress(
  key: string,
  address: HostPort,
  { secure, taken }: { readonly secure: boolean; readonly taken: Readonly<Record<string, HostPort | undefined>> },
): Finding[] {
  const text = hostPort(address.host, address.port);
  const messages = Object.entries(taken).flatMap(([other, at]) =>
    at !== undefined && clash(at, address) ? [`${text} is taken by ${other}; expected another port`] : [],
  );
  if (address.port === 0) messages.push("Envoys must know the port before: expected one from 1 to 65535");
  if (!secure && !isLoopback(address.host)) {
    messages.push(
      `${text} is not loopback, and without envoy.xds.tls anybody could connect as an Envoy, ` +
        "and sessions would cross the network unencrypted: set envoy.xds.tls",
    );
  }
  return messages.map((message) => finding(["envoy", "xds", key], message));
}

/** Sockets that lead to pods are on the gate's machine. */
function checkReach({ fleets }: EnvoyConfig, { providers = [], dataPlane }: Partial<Config>): Finding[] {
  if (dataPlane !== "envoy") return [];
  const isServed = (provider: string): boolean => fleets.some((fleet) => fleet.providers?.includes(provider) ?? true);
  const message =
    "the Envoys of fleets cannot reach pods by port-forward; expected direct, or fleets with other providers";
  return [...providers.entries()].flatMap(([at, { name, reach }]) =>
    reach === "port-forward" && isServed(name)
      ? [{ path: ["providers", at, "reach"], key: `providers.${String(at)}.reach`, message }]
      : [],
  );
}

/** Somebody is to serve visitors, at a port that all know before. */
function checkServed({ local, fleets }: EnvoyConfig, { dataPlane, listen }: Partial<Config>): Finding[] {
  if (local || dataPlane !== "envoy") return [];
  const anyPort = "the Envoys of fleets must know the port before: expected one from 1 to 65535";
  return [
    ...(fleets.length > 0
      ? []
      : [finding(["envoy", "local"], "without fleets nobody would serve: expected true, or fleets")]),
    ...(listen?.address.port === 0 ? [{ path: ["listen", "address"], key: "listen.address", message: anyPort }] : []),
  ];
}

function checkFleets({ fleets, xds }: EnvoyConfig, config: Partial<Config>): Finding[] {
  const names = new Set<string>();
  const sources = [...(config.files ?? []), ...(config.providers ?? [])];
  const providers = new Set([LOCAL, ...sources.map(({ name }) => name)]);
  return fleets.flatMap((fleet, index) => {
    const found: Finding[] = [];
    const add = (key: string, message: string) => void found.push(finding(["envoy", "fleets", index, key], message));
    if (xds.address === undefined) add("name", "there is no envoy.xds.address that its Envoys could connect to");
    if (fleet.name === LOCAL) add("name", "local is the gate's own Envoy; expected another name");
    if (names.has(fleet.name)) add("name", `a fleet before it has the name ${fleet.name}; expected another name`);
    names.add(fleet.name);
    const unknown = fleet.providers?.filter((name) => !providers.has(name)) ?? [];
    if (unknown.length > 0) add("providers", `there is no provider ${unknown.join(", ")}`);
    return found;
  });
}

function finding(path: readonly PropertyKey[], message: string): Finding {
  return { path, key: dotted(path), message };
}
