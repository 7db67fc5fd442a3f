import { describe, expect, test } from "vitest";
import { Config } from "../config/schema.ts";
import { fleetBootstrap } from "./fleet-bootstrap.ts";

const xds = {
  address: "0.0.0.0:7083",
  gateAddress: "0.0.0.0:7084",
  tls: { certificate: "/c", key: "/k", clientAuthority: "/a" },
};
const files = { certificate: "/own.pem", key: "/own-key.pem", authority: "/gate-ca.pem" };

function bootstrap(hosts: readonly string[], advertise?: string): unknown {
  const config = Config.parse({
    dataPlane: "envoy",
    envoy: { xds: { ...xds, ...(advertise === undefined ? {} : { advertise }) }, fleets: [{ name: "edge" }] },
  });
  return fleetBootstrap(config, { fleet: "edge", hosts, files, adminPort: 9901 });
}

interface Address {
  readonly address: string;
  readonly port_value: number;
}

interface Cluster {
  readonly name: string;
  readonly type: string;
  readonly load_assignment?: {
    readonly endpoints: readonly {
      readonly lb_endpoints: readonly {
        readonly endpoint: { readonly address: { readonly socket_address: Address } };
      }[];
    }[];
  };
}

/** Of each cluster that leads to gates: how it finds them, and where. */
function clustersOf(made: unknown): Readonly<Record<string, readonly string[]>> {
  const { clusters } = (made as { readonly static_resources: { readonly clusters: readonly Cluster[] } })
    .static_resources;
  const own = clusters.filter(({ name }) => !/admin|relay/.test(name));
  return Object.fromEntries(
    own.map(({ name, type, load_assignment: load }) => {
      const at =
        load?.endpoints.flatMap(({ lb_endpoints: list }) =>
          list.map(({ endpoint }) => endpoint.address.socket_address),
        ) ?? [];
      return [name, [type, ...at.map(({ address, port_value: port }) => `${address} ${String(port)}`)]];
    }),
  );
}

describe("what an Envoy of a fleet starts with", () => {
  test("leads to one gate for everything", () => {
    expect(clustersOf(bootstrap(["gate.example.com"]))).toEqual({
      "taskgate-control": ["STRICT_DNS", "gate.example.com 7083"],
      "taskgate-gate": ["STRICT_DNS", "gate.example.com 7084"],
    });
  });

  test("leads to several gates for what there is, and leaves the rest to the one that tells it", () => {
    const told = { "taskgate-control": ["EDS"], "taskgate-gate": ["EDS"] };
    expect(clustersOf(bootstrap(["gates.example.com"], "10.0.0.5"))).toEqual({
      "taskgate-resources": ["STRICT_DNS", "gates.example.com 7083"],
      ...told,
    });
    const made = bootstrap(["10.0.0.5", "10.0.0.6:7183", "[2001:db8::5]:7283", "2001:db8::6"], "10.0.0.5");
    expect(clustersOf(made)).toEqual({
      "taskgate-resources": ["STATIC", "10.0.0.5 7083", "10.0.0.6 7183", "2001:db8::5 7283", "2001:db8::6 7083"],
      ...told,
    });
    for (const host of ["10.0.0.5", "10.0.0.6", "2001:db8::5"]) {
      expect(JSON.stringify(made)).toContain(JSON.stringify({ san_type: "IP_ADDRESS", matcher: { exact: host } }));
    }
  });

  test.each([
    [["a.example.com", "b.example.com"], undefined, /envoy\.xds\.advertise/],
    [["0.0.0.0"], undefined, /cannot be dialled/],
    [["gate:0"], "10.0.0.5", /HOST\[:PORT\]/],
    [["gate:70000"], "10.0.0.5", /HOST\[:PORT\]/],
    [["a:b:c"], "10.0.0.5", /HOST\[:PORT\]/],
    [[], undefined, /cannot be dialled/],
  ] as const)("is refused of %j, advertised as %s", (hosts, advertise, message) => {
    expect(() => bootstrap(hosts, advertise)).toThrow(message);
  });
});
