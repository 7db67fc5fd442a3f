import { isIP } from "node:net";
import { z } from "zod";
import { gatewayAddress, GatewayConfig } from "../gateway-config.ts";
import { count } from "../units.ts";
import type { KeyReader } from "./key-reader.ts";

type Gateways = Pick<GatewayConfig, "gateways" | "ports">;

const MOST_GATEWAYS = 16;
/** As Determined has them where its block names none. */
const FIRST_PORT = 32_768;
const LAST_PORT = 65_535;
const RANGE_NAMES = ["gateway_port_range_start", "gateway_port_range_end"] as const;

const RULE =
  "1 to 63 letters, digits, dashes, dots and underscores, with a letter or digit at both ends (kubectl get gateways --all-namespaces lists them)";

/** What Determined takes for the name of an object: more than Kubernetes does. */
function label(what: string, example: string) {
  const error = `expected the ${what}, such as ${example}: ${RULE}`;
  return z.string({ error }).regex(/^(?=.{1,63}$)[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$/, { error });
}

const name = label("name of a Gateway that exists", "contour");
const namespace = label("namespace of the Gateway", "projectcontour");
const ADDRESS_ERROR =
  "expected the address of the Gateway's proxy as the gate can dial it: an IP address or a host name, such as 203.0.113.7";
const address = z.string({ error: ADDRESS_ERROR }).min(1, { error: ADDRESS_ERROR });

const port = (standard: number) =>
  count(1025, 65_535)
    .nullish()
    .transform((number) => number ?? standard);
const ports = { gateway_port_range_start: port(FIRST_PORT), gateway_port_range_end: port(LAST_PORT) };

const OneGateway = z.object({ gateway_name: name, gateway_namespace: namespace, gateway_ip: address, ...ports });

const { pods } = GatewayConfig.shape.gateways.element.shape;
const LIST_ERROR = `expected 1 to ${String(MOST_GATEWAYS)} Gateways, each with name and address`;
/** More than Determined takes: the Gateways are filled in their order. */
const SeveralGateways = z.object({
  gateway_name: z
    .array(z.strictObject({ name, namespace: namespace.optional(), address: address.optional(), pods }))
    .min(1, { error: LIST_ERROR })
    .max(MOST_GATEWAYS, { error: LIST_ERROR }),
  gateway_namespace: namespace.optional(),
  gateway_ip: address.optional(),
  ...ports,
});

const SECTION_ERROR = "expected a section with gateway_name, gateway_namespace and gateway_ip";
const Section = z.record(z.string(), z.unknown(), { error: SECTION_ERROR });

/** A block internal_task_gateway, by Determined's rules. null: it is wrong, which is noted. */
export function readGatewayBlock(reader: KeyReader, path: readonly PropertyKey[]): Gateways | null {
  if (reader.read(Section, path) === null) return null;
  reader.checkNames(path, Object.keys(OneGateway.shape), "warning");
  const isList = Array.isArray(reader.valueAt([...path, "gateway_name"]));
  const gateways = isList ? readSeveral(reader, path) : readOne(reader, path);
  const isRange = checkRange(reader, path);
  if (gateways === null || !isRange) return null;
  for (const each of gateways.gateways) warnOfNames(reader, path, each);
  return gateways;
}

function readOne(reader: KeyReader, path: readonly PropertyKey[]): Gateways | null {
  const block = reader.read(OneGateway, path);
  if (block === null) return null;
  const gateway = { name: block.gateway_name, namespace: block.gateway_namespace, address: block.gateway_ip };
  return { gateways: [gateway], ports: { from: block.gateway_port_range_start, to: block.gateway_port_range_end } };
}

function readSeveral(reader: KeyReader, path: readonly PropertyKey[]): Gateways | null {
  const block = reader.read(SeveralGateways, path);
  if (block === null) return null;
  const seen = new Set<string>();
  const gateways = block.gateway_name.map((one, index) => {
    const at = [...path, "gateway_name", index];
    const { namespace: inside = block.gateway_namespace, address: where = block.gateway_ip } = one;
    if (inside === undefined) reader.fail([...at, "namespace"], "is missing: expected it here, or gateway_namespace");
    if (where === undefined) reader.fail([...at, "address"], "is missing: expected it here, or gateway_ip");
    const key = `${inside ?? ""}/${one.name}`;
    if (seen.has(key)) reader.fail(at, `Gateway ${key} is named twice; expected each once`);
    const isGood = inside !== undefined && where !== undefined && !seen.has(key);
    seen.add(key);
    const more = one.pods === undefined ? {} : { pods: one.pods };
    return isGood ? { name: one.name, namespace: inside, address: where, ...more } : null;
  });
  const good = gateways.filter((one) => one !== null);
  if (good.length < gateways.length) return null;
  return { gateways: good, ports: { from: block.gateway_port_range_start, to: block.gateway_port_range_end } };
}

/** Determined's message says that both may be the same, and its check that they may not: what it does counts. */
function checkRange(reader: KeyReader, path: readonly PropertyKey[]): boolean {
  const [start, end] = RANGE_NAMES.map((key) => reader.valueAt([...path, key]));
  const from = start ?? FIRST_PORT;
  const to = end ?? LAST_PORT;
  if (typeof from !== "number" || typeof to !== "number" || from < to) return true;
  const said = typeof start === "number" ? RANGE_NAMES[0] : RANGE_NAMES[1];
  const message = `the range ${String(from)}-${String(to)} holds no two ports; expected gateway_port_range_start to be less than gateway_port_range_end (Determined refuses a single port, too)`;
  reader.fail([...path, said], message);
  return false;
}

/** Determined takes these, and no Gateway has them. */
function warnOfNames(reader: KeyReader, path: readonly PropertyKey[], gateway: Gateways["gateways"][number]): void {
  for (const key of ["name", "namespace"] as const) {
    if (/^[a-z0-9.-]+$/.test(gateway[key])) continue;
    const message = `nothing in Kubernetes can be called ${gateway[key]}: names there are lower-case letters, digits, dashes and dots`;
    reader.warn([...path, `gateway_${key}`], message);
  }
  const { address: where } = gateway;
  if (isIP(where) !== 0 || gatewayAddress.safeParse(where.toLowerCase()).success) return;
  const message = `${JSON.stringify(where.slice(0, 60))} is no IP address and no host name, so nothing can be dialled there; expected no scheme, port or path`;
  reader.warn([...path, "gateway_ip"], message);
}
