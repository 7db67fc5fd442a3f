import { AccessLogConfig, LimitsConfig, ListenConfig, RequestIdConfig, TracingConfig } from "../../../config/schema.ts";
import { systemClock } from "../../../platform/clock.ts";
import { silentLogger } from "../../../platform/logger.ts";
import { heldBytes } from "../../testing/memory.ts";
import type { PlaneOptions, StartPlane } from "../../testing/rig.ts";
import { bindListener } from "../listener.ts";
import { type ObserveConfig, startObservation } from "../observe/observation.ts";
import { startEmbeddedPlane } from "../plane.ts";

/** A real plane of one process, at a free port of the loopback: what every suite about the embedded plane attacks. */
export const startTestPlane: StartPlane = async ({
  limits,
  tls,
  proxyFrom,
  frontFrom,
  frontHops,
  public: seen,
  observe,
  ...deps
}) => {
  const bare = { authority: null, ticketSecret: null, clock: systemClock, logger: silentLogger };
  const listener = await bindListener(testListen({ tls, proxyFrom, frontFrom, frontHops }), bare);
  const { port } = listener;
  const site = {
    ...{ domain: "localhost", gateHost: "taskgate.localhost", pathHost: "paths.localhost" },
    ...{ secure: tls !== null, port, ...seen, dial: "127.0.0.1" },
  };
  const observation = await startObservation({
    config: testObserve(observe),
    logger: silentLogger,
    rotatesLog: true,
  });
  const plane = await startEmbeddedPlane({
    ...{ ...deps, listener, site, observation, clock: systemClock, logger: silentLogger },
    limits: { ...LimitsConfig.parse({}), ...limits },
    secret: "secret of a test",
    dialRules: { loopback: ["gate", "local"], sockets: [], ownPorts: new Set([port]) },
  });
  return {
    ...{ plane, site, port, address: "127.0.0.1" },
    held: () => Promise.resolve(heldBytes()),
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
};

/** The `listen` section of what a test asks for. */
export function testListen({
  tls,
  proxyFrom,
  frontFrom,
  frontHops,
}: Pick<PlaneOptions, "tls" | "proxyFrom" | "frontFrom" | "frontHops">): ListenConfig {
  return ListenConfig.parse({
    address: "127.0.0.1:0",
    proxyProtocol: { from: proxyFrom },
    forwarded: { from: frontFrom, hops: frontHops },
    ...(tls === null ? {} : { tls: filesOf(tls) }),
  });
}

/** Access log, traces and request ids as a test asks for them. */
export function testObserve(observe: PlaneOptions["observe"]): ObserveConfig {
  return {
    accessLog: AccessLogConfig.parse(observe.accessLog ?? {}),
    tracing: TracingConfig.parse(observe.tracing ?? {}),
    requestId: RequestIdConfig.parse(observe.requestId),
  };
}

/** Without what else is on the object that a test passes. */
function filesOf({ certificate, key, certificates = [] }: NonNullable<PlaneOptions["tls"]>): object {
  return {
    certificate,
    key,
    certificates: certificates.map((one) => ({ certificate: one.certificate, key: one.key })),
  };
}
