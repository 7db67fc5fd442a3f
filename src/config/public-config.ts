import { z } from "zod";
import { count, hostName, ipAddress, networks } from "./units.ts";

/** Where visitors come in, where that is a front before the gate. */
export const PublicConfig = z.strictObject({
  scheme: z.enum(["https", "http"]).optional().describe("What visitors speak to the front. Default: https."),
  port: count(1, 65_535).optional().describe("The front's port. Default: the scheme's own, 443 or 80."),
  grpcPort: count(1, 65_535).optional().describe("Its port for gRPC, where that is another one. Default: `port`."),
  address: z
    .union([hostName, ipAddress], { error: "expected a host name or an IP address" })
    .meta({ title: "host name or IP" })
    .optional()
    .describe("What leads to the front's raw ports. Default: the gate's host."),
});

/** Whose word for the visitor counts. */
export const ForwardedConfig = z
  .strictObject({
    from: networks.describe(
      "Addresses or networks of fronts whose X-Forwarded-For and X-Forwarded-Proto count: the visitor is then whom the last entry names. " +
        "From anybody else both fields count for nothing.",
    ),
    hops: count(1, 10)
      .prefault(1)
      .describe(
        "How many such fronts stand one behind the other, each of which adds an entry: the visitor is whom the entry names that is so many-th from the end.",
      ),
  })
  .prefault({})
  .describe("Fronts that speak HTTP to the gate and say for whom they ask.");
