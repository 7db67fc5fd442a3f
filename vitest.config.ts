import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/**
 * h2spec 2.2.1 is in no package registry that is certain to serve it, so its suite is there where the program is: on the PATH, or named by
 * TASKGATE_H2SPEC. What it asks of connections and frames, test/http2-conformance.test.ts asks everywhere.
 */
const named = process.env.TASKGATE_H2SPEC ?? "";
const hasH2spec = spawnSync(named === "" ? "h2spec" : named, ["--version"]).error === undefined;

/** Making the image by its build file fetches and compiles everything: minutes, where TASKGATE_TEST_IMAGE asks for it. Linux, as root. */
const makesImage = (process.env.TASKGATE_TEST_IMAGE ?? "") !== "";

/**
 * In CI a test is tried once more: of thousands with real programs one or another is late on a busy machine. Which were is named above the
 * closing line, as such a test is to be mended.
 */
const retry = (process.env.CI ?? "") === "" ? 0 : 1;

/** Suites that hold on whichever plane moves the bytes: they are played a second time with a real Envoy (see PLANE in test/support/gate.ts). */
const ON_EVERY_PLANE = [
  "revocation",
  "peer-defects",
  "attacks",
  "attacks-credentials",
  "attacks-oidc",
  "attacks-rights",
  "attacks-sessions",
  "attacks-targets",
  "grpc-interop",
  "http1-hostile",
  "audit",
  "observability",
  "http2-hostile-jobs",
  "http2-floods",
  "http1-aborts",
  "http1-hostile-answers",
  "slow-peers",
  "kubernetes-ways",
  "kubernetes-port-forward",
].map((name) => `test/${name}.test.ts`);

/** Suites that need an Envoy, and no cluster. */
const ENVOY = "test/envoy-*.test.ts";

/** Suites that need a cluster of Kubernetes, or the programs of one. */
const CLUSTERS = "test/{kubernetes,testbed}*.test.ts";

const CHARTS = "test/chart*.test.ts";

/** Those about Gateways for which an API server of their own is enough. */
const API_SERVERS = ["front-objects", "gateway-former", "gateway-reach", "gateway-rights", "gateway-variants"].map(
  (name) => `test/kubernetes-${name}.test.ts`,
);

/** Files one after the other, as some measure, and with the time that real programs take. */
const ONE_BY_ONE = { testTimeout: 120_000, hookTimeout: 1_200_000, fileParallelism: false };

const ON_CLUSTERS = { ...ONE_BY_ONE, globalSetup: ["test/support/cluster-run.ts"] };

/**
 * `unit` is fast and needs nothing but Node; `suites` uses real programs, a browser and whole gates; `clusters` those and Kubernetes,
 * `charts` Helm too, `api-servers` Kubernetes' API server alone; `envoy` is what is of Envoy, and some of the others on it.
 */
export default defineConfig({
  test: {
    retry,
    // What a plane of many processes counts is told a moment later.
    expect: { poll: { timeout: 15_000 } },
    reporters: ["default", "./scripts/closing-line.ts"],
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{src,scripts,testbed}/**/*.test.ts"],
          testTimeout: 60_000,
          // They wait as much as they work: one at a time, which is what two processors get by default, takes two thirds more.
          maxWorkers: Math.max(2, availableParallelism() - 1),
        },
      },
      {
        extends: true,
        test: {
          name: "suites",
          include: ["test/**/*.test.ts"],
          exclude: [
            CLUSTERS,
            CHARTS,
            ENVOY,
            ...(hasH2spec ? [] : ["test/h2spec.test.ts"]),
            ...(makesImage ? [] : ["test/image.test.ts"]),
          ],
          ...ONE_BY_ONE,
        },
      },
      {
        extends: true,
        test: {
          name: "clusters",
          include: [CLUSTERS],
          exclude: API_SERVERS,
          ...ON_CLUSTERS,
        },
      },
      {
        extends: true,
        test: {
          name: "charts",
          include: [CHARTS],
          ...ON_CLUSTERS,
        },
      },
      {
        extends: true,
        test: {
          name: "api-servers",
          include: API_SERVERS,
          ...ON_CLUSTERS,
        },
      },
      {
        extends: true,
        test: {
          name: "envoy",
          include: [ENVOY, ...ON_EVERY_PLANE],
          env: { TASKGATE_TEST_PLANE: "envoy" },
          ...ON_CLUSTERS,
        },
      },
    ],
  },
});
