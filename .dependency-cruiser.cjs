/** The tree is the architecture diagram, and this keeps it true. See ARCHITECTURE.md. */
const TEST = "/dataplanes/contract/|\\.(test|contract)\\.ts$|/testing/";

const layer = (from, ...may) => ({
  name: `${from}-imports`,
  severity: "error",
  from: { path: `^src/${from}/`, pathNot: TEST },
  to: { path: "^src/", pathNot: `^src/(${[from, ...may].join("|")})(/|$)` },
});

module.exports = {
  forbidden: [
    layer("model"),
    layer("core", "model"),
    layer("platform", "model"),
    layer("config", "model", "platform"),
    layer("store", "config", "model", "platform"),
    layer("providers", "config", "model", "platform", "store/store\\.ts"),
    layer(
      "reach",
      "config",
      "model",
      "platform",
      "providers/provider\\.ts",
      "store/store\\.ts",
      "store/leadership\\.ts",
    ),
    layer("dataplanes", "config", "model", "platform"),
    layer("fronts", "config", "model", "platform"),
    layer("auth", "config", "model", "platform", "store/store\\.ts"),
    layer("audit", "config", "model", "platform"),
    layer("cull", "config", "model", "platform", "store/store\\.ts"),
    layer(
      "api",
      "audit",
      "auth",
      "config",
      "core",
      "model",
      "platform",
      "providers/provider\\.ts",
      "dataplanes/dataplane\\.ts",
    ),
    layer("cli", "api/wire\\.ts", "api/wire-[a-z]+\\.ts", "app", "config", "model", "platform"),
    {
      name: "siblings-are-strangers",
      severity: "error",
      from: {
        path: "^src/(providers|dataplanes|fronts|reach|store|auth/authenticators|dask/backends)/([^/]+)/",
        pathNot: TEST,
      },
      to: { path: "^src/$1/[^/]+/", pathNot: "^src/$1/$2/" },
    },
    {
      name: "only-app-names-concrete-classes",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/(app|cli)/|${TEST}` },
      to: { path: "^src/app/" },
    },
    {
      name: "only-model-has-an-index",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^src/.*/index\.ts$", pathNot: "^src/model/" },
    },

    { name: "no-cycles", severity: "error", from: { path: "^src/" }, to: { circular: true } },
    {
      name: "nothing-outside-src",
      severity: "error",
      from: { path: "^src/", pathNot: TEST },
      to: { path: "^(test|bench|testbed|scripts|examples)/" },
    },
    {
      name: "no-test-in-product",
      severity: "error",
      from: { path: "^src/", pathNot: TEST },
      to: { path: `^src/.*(${TEST})` },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js", ".mjs", ".json"] },
  },
};
