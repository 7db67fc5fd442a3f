import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { Secret } from "../src/dataplanes/envoy/proto/tables/tls.ts";
import { certificateName, certificateSecret } from "../src/dataplanes/envoy/resources/downstream-tls.ts";
import { runGolden } from "../src/dataplanes/envoy/resources/testing/golden.ts";
import { staticBootstrap } from "../src/dataplanes/envoy/resources/testing/static-bootstrap.ts";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import { envoyProgram } from "../testbed/envoy.ts";

const RECORDS = join(import.meta.dirname, "../src/dataplanes/envoy/resources/testdata");
const inputs = readdirSync(RECORDS).filter((name) => name.endsWith(".in.yaml"));
const folder = mkdtempSync(join(tmpdir(), "taskgate-goldens-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What listeners name; records hold no keys. */
const { certificate: chain, key } = selfSigned(["example.test"]);
const certificates = [0, 1].map((index) => {
  const body = certificateSecret(index, { names: [], chain, key });
  return { type: Secret.name, name: certificateName(index), fleet: null, subject: "envoy", body };
});

const run = promisify(execFile);

test.each(inputs)("Envoy takes all that is on record of %s", async (input) => {
  const program = await envoyProgram();
  const { all, fleets } = runGolden(readFileSync(join(RECORDS, input), "utf8"));
  for (const fleet of fleets) {
    const path = join(folder, `${input}.${fleet}.json`);
    writeFileSync(path, JSON.stringify(staticBootstrap([...all, ...certificates], fleet)));
    const { stdout } = await run(program, ["--mode", "validate", "-c", path, "-l", "error"], { timeout: 20_000 });
    expect(stdout).toContain("OK");
  }
});
