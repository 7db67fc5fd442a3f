import { expect, test } from "vitest";
import { forbiddenTarget } from "./forbidden-target.ts";

const RULES = {
  ...{ loopback: ["local"], sockets: ["far"] },
  ...{ ownPorts: new Set([7080]), ownAddresses: new Set(["192.0.2.7"]) },
};

test("lets a provider's tasks be on the loopback only where that is told, and nobody but the gate on a socket", () => {
  const loopback = { ip: "127.0.0.1", port: 80 };
  expect(forbiddenTarget(loopback, "local", RULES)).toBeNull();
  expect(forbiddenTarget(loopback, "k8s", RULES)).not.toBeNull();
  expect(forbiddenTarget({ unix: "/run/x.sock" }, "gate", RULES)).toBeNull();
  expect(forbiddenTarget({ unix: "/run/x.sock" }, "local", RULES)).not.toBeNull();
});

test("lets tasks of a provider that is reached by sockets be there, and no more on the loopback for that", () => {
  expect(forbiddenTarget({ unix: "/run/x.sock" }, "far", RULES)).toBeNull();
  expect(forbiddenTarget({ ip: "127.0.0.1", port: 80 }, "far", RULES)).not.toBeNull();
});

test("never lets a task be the gate itself", () => {
  expect(forbiddenTarget({ ip: "127.0.0.1", port: 7080 }, "local", RULES)).not.toBeNull();
  expect(forbiddenTarget({ ip: "192.0.2.7", port: 7080 }, "k8s", RULES)).not.toBeNull();
  expect(forbiddenTarget({ ip: "192.0.2.7", port: 7081 }, "k8s", RULES)).toBeNull();
});
