import { join } from "node:path";
import { homeAt } from "../../src/config/home.ts";
import { askAdmin, readStats } from "../../src/dataplanes/envoy/local/ask-admin.ts";
import { readRecord } from "../../src/dataplanes/envoy/local/record.ts";
import { type GateOptions, startTestGate, type TestGate } from "./gate.ts";

/** A gate whose bytes a real Envoy moves; see `startTestGate`. */
export function startEnvoyGate(options: GateOptions = {}): Promise<TestGate> {
  return startTestGate({ ...options, dataPlane: "envoy" });
}

const folderOf = (gate: Pick<TestGate, "home">) => homeAt({ TASKGATE_HOME: gate.home }).envoy;

/** The gate's own Envoy, as the gate wrote it down; 0: there is none. */
export function envoyPid(gate: Pick<TestGate, "home">): number {
  return readRecord(join(folderOf(gate), "envoy.json"))?.pid ?? 0;
}

/** Counters and gauges of the gate's own Envoy whose names match. */
export function envoyStats(gate: Pick<TestGate, "home">, pattern: string): Promise<ReadonlyMap<string, number>> {
  return readStats((path) => askAdmin(join(folderOf(gate), "admin.sock"), "GET", path), pattern);
}
