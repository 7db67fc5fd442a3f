import tseslint from "typescript-eslint";

/** Byte and table code that lint limits do not fit, each with the reason. */
const LONG_BY_NATURE = [];

export default tseslint.config(
  { ignores: ["node_modules/", "dist/", "coverage/", "docs/generated/"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    files: ["**/*.ts"],
    languageOptions: { parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/no-unnecessary-type-parameters": "off", // Store.get<T> is a typed read of JSON
      "@typescript-eslint/no-confusing-void-expression": [
        "error",
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      "@typescript-eslint/unbound-method": "off", // interfaces here are records of functions
      "max-lines-per-function": ["error", { max: 60, skipBlankLines: true, skipComments: true }],
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
      "max-params": ["error", 4], // three, and a trailing signal
      complexity: ["error", 12],
      "no-restricted-syntax": [
        "error",
        { selector: "TSEnumDeclaration", message: "Use a union of literals." },
        { selector: "ExportDefaultDeclaration", message: "Export by name." },
      ],
    },
  },
  {
    files: LONG_BY_NATURE.length > 0 ? LONG_BY_NATURE : ["none"],
    rules: { complexity: "off", "max-lines-per-function": "off" },
  },
  {
    files: [
      "**/*.test.ts",
      "**/*.contract.ts",
      "src/dataplanes/contract/**/*.ts",
      "test/**/*.ts",
      "bench/**/*.ts",
      "testbed/**/*.ts",
    ],
    rules: {
      "max-lines-per-function": "off",
      "max-lines": "off",
      complexity: "off",
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  { files: ["**/*.config.ts", "vitest.config.ts"], rules: { "no-restricted-syntax": "off" } },
  { files: ["**/*.{js,mjs,cjs}"], ...tseslint.configs.disableTypeChecked },
);
