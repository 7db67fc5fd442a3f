import { expect, test } from "vitest";
import type { LimitsConfig } from "../../config/schema.ts";
import type { Policy } from "../../model/index.ts";
import { silentLogger, type Logger } from "../../platform/logger.ts";
import { Admission, overloaded, type Bound } from "./admission.ts";

const OFF = { connections: 1000, connectionsPerClient: 0, requests: 0, requestsPerClient: 0, requestsPerService: 0 };

function start(limits: Partial<LimitsConfig>, share = 1) {
  const refused: Bound[] = [];
  const said: unknown[] = [];
  const time = { now: 0 };
  const warn = (fields: unknown) => void said.push(fields);
  const logger: Logger = Object.assign(Object.create(silentLogger) as Logger, { warn });
  const admission = new Admission({
    ...{ limits: { ...OFF, ...limits }, share, logger, refused: (bound) => refused.push(bound) },
    clock: { now: () => time.now, after: () => ({ [Symbol.dispose]: () => undefined }) },
  });
  return { admission, refused, said, time };
}

const service = (key: string, policy: Policy = {}) => ({ service: key, policy });

test("bounds connections in all and by client, and takes more once some have ended", () => {
  const { admission, refused } = start({ connections: 3, connectionsPerClient: 2 });
  expect([admission.connection("10.0.0.1"), admission.connection("10.0.0.1")]).toEqual([null, null]);
  expect(admission.connection("10.0.0.1")).toBe("connectionsPerClient");
  expect(admission.connection("10.0.0.2")).toBeNull();
  expect(admission.connection("10.0.0.3")).toBe("connections");
  admission.connectionEnded("10.0.0.1");
  expect(admission.connection("10.0.0.1")).toBeNull();
  expect(refused).toEqual(["connectionsPerClient", "connections"]);
});

test("counts a connection whose client is told later, and then by client", () => {
  const { admission } = start({ connections: 2, connectionsPerClient: 1 });
  expect([admission.connection(null), admission.attribute("10.0.0.1")]).toEqual([null, null]);
  expect([admission.connection(null), admission.attribute("10.0.0.1")]).toEqual([null, "connectionsPerClient"]);
  expect(admission.connection(null)).toBe("connections");
  admission.connectionEnded(null);
  admission.connectionEnded("10.0.0.1");
  expect([admission.connection("10.0.0.1"), admission.connection(null)]).toEqual([null, null]);
});

test("bounds requests in all, by client and by service, whose own bound can only be lower", () => {
  const { admission } = start({ requests: 4, requestsPerClient: 3, requestsPerService: 2 });
  const ask = (peer: string) => admission.request(peer);
  expect([ask("a"), ask("a"), ask("a"), ask("a")]).toEqual([null, null, null, "requestsPerClient"]);
  expect([ask("b"), ask("c")]).toEqual([null, "requests"]);
  admission.requestEnded("a");
  expect(ask("a")).toBeNull();
  const low = service("low", { maxRequests: 1 });
  expect([admission.service(low), admission.service(low)]).toEqual([null, "requestsPerService"]);
  const high = service("high", { maxRequests: 100 });
  expect([1, 2, 3].map(() => admission.service(high))).toEqual([null, null, "requestsPerService"]);
  admission.serviceEnded(low);
  expect(admission.service(low)).toBeNull();
});

test("refuses nobody where a bound is 0", () => {
  const { admission } = start({});
  for (let count = 0; count < 1000; count += 1) {
    expect(admission.connection("10.0.0.1")).toBeNull();
    expect(admission.request("10.0.0.1")).toBeNull();
    expect(admission.service(service("s"))).toBeNull();
  }
});

test("has its part of the totals where several processes share the work, rounded up", () => {
  const { admission } = start({ connections: 5, requests: 3, requestsPerClient: 3 }, 2);
  expect([1, 2, 3, 4].map(() => admission.connection("10.0.0.1"))).toEqual([null, null, null, "connections"]);
  expect([1, 2, 3].map(() => admission.request("10.0.0.1"))).toEqual([null, null, "requests"]);
});

test("counts every refusal, and logs the first at once and the rest together ten seconds later", () => {
  const { admission, refused, said, time } = start({ connections: 1 });
  admission.connection("a");
  for (let count = 0; count < 50; count += 1) admission.connection("a");
  expect([refused.length, said]).toEqual([50, [{ bound: "limits.connections", refused: 1 }]]);
  time.now = 10_000;
  admission.connection("a");
  expect(said[1]).toEqual({ bound: "limits.connections", refused: 50 });
});

test("says 503 and when to come again; to gRPC who is at fault", () => {
  expect(overloaded("requests")).toMatchObject({ status: 503, code: "overloaded", retryAfterSeconds: 1 });
  expect(overloaded("requests")).not.toHaveProperty("grpcStatus");
  expect(overloaded("requestsPerClient")).toMatchObject({ status: 503, grpcStatus: 8 });
});
