import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CONFIG_KEYS } from "./config-keys.ts";
import { describeConfig } from "./describe-config.ts";
import { loadConfig } from "./load-config.ts";

test("every key has a description that ends as a sentence does, and a type", () => {
  for (const { key, description, type } of CONFIG_KEYS) {
    expect(description, key).toMatch(/^[A-Z].*\.$/);
    expect(type, key).not.toBe("");
  }
  expect(CONFIG_KEYS.length).toBeGreaterThan(40);
});

test("every single value has an environment variable of its own, which sets it", () => {
  const names = CONFIG_KEYS.flatMap(({ environment }) => (environment === null ? [] : [environment]));
  expect(new Set(names).size).toBe(names.length);
  for (const { key, environment } of CONFIG_KEYS) {
    if (environment === null) continue;
    // No key takes this; so each must complain, and about itself.
    const { problems } = loadConfig({ environment: { [environment]: "\n" } });
    expect(
      problems.map((problem) => [problem.file, problem.key]),
      key,
    ).toContainEqual([environment, key]);
  }
});

test("names variables after their keys", () => {
  const variable = (key: string) => CONFIG_KEYS.find((one) => one.key === key)?.environment;
  expect(variable("domain")).toBe("TASKGATE_DOMAIN");
  expect(variable("listen.plainOnPublicAddress")).toBe("TASKGATE_LISTEN_PLAIN_ON_PUBLIC_ADDRESS");
  expect(variable("listen.tls.key")).toBe("TASKGATE_LISTEN_TLS_KEY");
  expect(variable("tcp.services")).toBeNull();
  expect(variable("files[].path")).toBeNull();
});

test("every default is what the schema takes", () => {
  for (const { key, standard, environment } of CONFIG_KEYS) {
    if (standard === undefined || environment === null) continue;
    const { config, problems } = loadConfig({
      environment: { [environment]: typeof standard === "string" ? standard : JSON.stringify(standard) },
    });
    expect(problems, key).toEqual([]);
    expect(config, key).toEqual(loadConfig({ environment: {} }).config);
  }
});

test("the reference has a row for every key", () => {
  const { markdown, jsonSchema } = describeConfig();
  for (const { key } of CONFIG_KEYS) expect(markdown).toContain(`\n| \`${key}\` | `);
  expect(jsonSchema).toMatchObject({ type: "object", additionalProperties: false });
});

test("the example speaks only of keys and files that there are", () => {
  const text = readFileSync(join(import.meta.dirname, "../../examples/config.yaml"), "utf8");
  expect(text.split("\n")[0]).toBe("# yaml-language-server: $schema=../docs/generated/config.schema.json");
});
