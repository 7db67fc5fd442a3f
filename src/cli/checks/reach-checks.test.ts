import { describe, expect, test } from "vitest";
import type { GatewayView, ReachView } from "../../api/wire-reaches.ts";
import { startFakeGate, temporaryHome } from "../testing/fake-gate.ts";
import { runCli } from "../testing/run-cli.ts";
import type { Finding } from "./finding.ts";
import { checkReaches } from "./reach-checks.ts";

const GATEWAY: GatewayView = {
  ...{ gateway: "gw/edge", address: "192.0.2.7", state: "ready", controller: "example.com/controller" },
  listeners: { own: 4, others: 1, most: 64 },
  listenerSets: null,
  whyNoListenerSets: "the Gateway's `allowedListeners` lets none attach",
  ports: { from: 32_768, to: 65_535, own: 4, others: 0 },
  ...{ room: 59, bound: "listeners" },
};
const PATCH = `kubectl patch gateway edge --namespace gw --type merge --patch '{"spec":{"allowedListeners":{"namespaces":{"from":"Same"}}}}'`;
const REACH: ReachView = {
  ...{ provider: "far", reach: "gateway-api", wanted: 4, ready: 4, gateways: [GATEWAY] },
  advice: [{ level: "warn", code: "gateway_plain_text", message: "far/tb speaks plain text", remedy: "gateway.tls" }],
};

function check(differs: Partial<GatewayView>): Finding | undefined {
  return checkReaches([{ ...REACH, gateways: [{ ...GATEWAY, ...differs }] }]).find(({ name }) => name === "gateway");
}

describe("what is said of Gateways", () => {
  test("names room, what runs out first, whether maxItems is raised, and why there are no ListenerSets", () => {
    expect(check({})).toEqual({
      name: "gateway",
      level: "ok",
      message: [
        "far: Gateway gw/edge at 192.0.2.7 (example.com/controller) has room for 59 more ports of tasks; listeners of the Gateway run out first",
        "listeners: 4 of the gate's and 1 of others, of 64: maxItems of the cluster's definition of Gateways is not raised",
        `ListenerSets: none, as the Gateway's \`allowedListeners\` lets none attach; let them by: ${PATCH}`,
        "ports 32768 to 65535: 4 of the gate's and 0 of others",
      ].join("\n"),
      remedy: null,
    });
    const raised = check({ listeners: { own: 150, others: 1, most: 256 }, room: 105 });
    expect(raised).toMatchObject({ level: "ok", message: expect.stringContaining("is raised from 64") as string });
    const sets = check({ listenerSets: { sets: 2, own: 90, others: 3 }, whyNoListenerSets: null });
    expect(sets?.message).toContain("ListenerSets: 2, with 90 listeners of the gate's and 3 of others");
  });

  test("nearly full is a warning, full a failure, and each says how what runs out first is raised", () => {
    const full = { listeners: { own: 60, others: 4, most: 64 }, room: 0 };
    expect(check(full)?.level).toBe("fail");
    expect(check(full)?.remedy).toContain(PATCH);
    expect(check({ ...full, whyNoListenerSets: "Contour knows no ListenerSets" })?.remedy).not.toContain("patch");
    expect(check(full)?.remedy).toContain("raise maxItems");
    const nearly = check({ listeners: { own: 60, others: 0, most: 64 }, room: 4 });
    expect(nearly?.level).toBe("warn");
    expect(check({ ...full, bound: "ports" })?.remedy).toContain("a wider range");
    expect(check({ ...full, bound: "controller" })?.remedy).toContain("binds no more ports");
    expect(check({ ...full, listenerSets: { sets: 1, own: 64, others: 0 } })?.remedy).not.toContain("patch");
  });

  test("a Gateway that is not there, or that nobody takes, fails", () => {
    expect(check({ state: "missing" })).toMatchObject({ level: "fail", message: "far: Gateway gw/edge at 192.0.2.7 is not in the cluster" }); // prettier-ignore
    expect(check({ state: "refused" })).toMatchObject({ level: "fail" });
  });
});

test("ports of tasks that wait are told, and the reach's own advice", () => {
  const found = checkReaches([{ ...REACH, ready: 3 }]);
  expect(found.map(({ name, level }) => `${name} ${level}`)).toEqual([
    "reach warn",
    "gateway ok",
    "gateway_plain_text warn",
  ]);
  expect(found.at(-1)).toMatchObject({ message: "far: far/tb speaks plain text", remedy: "gateway.tls" });
});

test("doctor tells of reaches what the gate does; taskgate reach lists them", async () => {
  using home = temporaryHome();
  await using gate = await startFakeGate(home);
  gate.reaches.push(REACH, { ...REACH, provider: "laptop", reach: "port-forward", gateways: [], advice: [] });
  const environment = { TASKGATE_HOME: home.directory };
  const doctor = await runCli({ words: ["doctor"], environment });
  expect(doctor.stdout).toContain("ok    gateway: far: Gateway gw/edge at 192.0.2.7");
  expect(doctor.stdout).toContain("warn  gateway_plain_text: far: far/tb speaks plain text\n      Try: gateway.tls");
  const listed = await runCli({ words: ["reach"], environment });
  expect(listed).toMatchObject({ exitCode: 0 });
  expect(
    listed.stdout
      .split("\n")
      .slice(0, 3)
      .map((line) => line.trim().split(/ {2,}/)),
  ).toEqual([
    ["PROVIDER", "REACH", "READY", "GATEWAY", "ADDRESS", "STATE", "LISTENERS", "SETS", "PORTS", "ROOM"],
    ["far", "gateway-api", "4/4", "gw/edge", "192.0.2.7", "ready", "4+1 of 64", "-", "4+0 of 32768", "59 (listeners)"],
    ["laptop", "port-forward", "4/4", "-", "-", "-", "-", "-", "-", "-"],
  ]);
  expect(listed.stdout).toContain("gateway_plain_text: far");
  const json = await runCli({ words: ["reach", "--json"], environment });
  expect(JSON.parse(json.stdout)).toEqual({ reaches: gate.reaches });
});
