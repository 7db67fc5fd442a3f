import { type Difference, planeSuite, type PlaneTest } from "../../src/dataplanes/contract/plane-test.ts";
import { startTestPlane } from "../../src/dataplanes/embedded/testing/start-plane.ts";
import type { Way } from "../../src/dataplanes/envoy/testing/differences/suites.ts";
import { startTestEnvoy } from "../../src/dataplanes/envoy/testing/start-envoy-plane.ts";
import type { StartPlane } from "../../src/dataplanes/testing/rig.ts";
import { PLANE } from "./gate.ts";

/** The plane that the Vitest project names (see `PLANE`), at a free port of the loopback. */
export const startPlane: StartPlane = PLANE === "envoy" ? startTestEnvoy : startTestPlane;

/** Declares tests of a suite that is played on that plane. Those that Envoy passes in its own way (`ways`) show what it does `instead`. */
export function playOn<K extends string>(
  suite: string,
  ways: Readonly<Record<K, Way>>,
  instead: Readonly<Record<K, Difference["instead"]>>,
): PlaneTest {
  const differences = (Object.keys(ways) as K[]).flatMap((key) =>
    ways[key].titles.map((title) => [title, { why: ways[key].why, instead: instead[key] }] as const),
  );
  return planeSuite(`${suite}: ${PLANE}`, startPlane, PLANE === "envoy" ? Object.fromEntries(differences) : {}).test;
}
