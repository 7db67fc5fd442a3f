import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openLocalAuthority } from "../dataplanes/embedded/tls/local-authority.ts";
import { until } from "../dataplanes/testing/rig.ts";
import { selfSigned } from "../dataplanes/testing/self-signed.ts";
import { byHost, byPort, TableBuilder } from "../dataplanes/testing/table-builder.ts";
import { writePem } from "../dataplanes/testing/write-pem.ts";
import { ListenConfig } from "../config/schema.ts";
import { systemClock } from "../platform/clock.ts";
import { silentLogger } from "../platform/logger.ts";
import { startEnvoyCertificates } from "./envoy-certificates.ts";

const folder = mkdtempSync(join(tmpdir(), "taskgate-"));
afterAll(() => rmSync(folder, { recursive: true }));

const base = { clock: systemClock, logger: silentLogger };
const localAuthority = () =>
  openLocalAuthority({
    folder: join(folder, "authority"),
    names: ["localhost", "taskgate.localhost"],
    now: Date.now(),
  });

function routesOf(...hosts: readonly string[]) {
  const table = new TableBuilder();
  for (const [at, host] of hosts.entries())
    table.service({ key: `local/t${String(at)}/web`, matches: [byHost(host)], endpoints: [] });
  table.service({ key: "local/raw/tcp", protocol: "tcp", matches: [byPort(20_000)], endpoints: [] });
  return table.commit().diff.routes;
}

test("has the local authority vouch for each host as it comes, and for nothing that is not its own", async () => {
  const authority = await localAuthority();
  using source = await startEnvoyCertificates({
    tls: ListenConfig.parse({ tls: { local: true } }).tls,
    authority,
    ...base,
  });
  expect(source?.certificates).toHaveLength(1);
  let changes = 0;
  source?.onChange(() => (changes += 1));
  source?.follow(routesOf("nb.localhost", "lab.localhost", "nb.example.com"));
  await until(() => changes > 0);
  const [issued] = source?.certificates ?? [];
  const names = new X509Certificate(issued?.chain ?? "").subjectAltName;
  for (const name of ["nb.localhost", "lab.localhost", "taskgate.localhost"]) expect(names).toContain(`DNS:${name}`);
  expect(names).not.toContain("example.com");
  expect(changes).toBe(1);
  expect(source?.trustFile("nb.localhost")).toBe(authority.file);
});

test("gives files before what is issued, and the file to trust for a name that one has", async () => {
  const pem = selfSigned(["apps.example.com", "*.apps.example.com"]);
  await using files = await writePem(pem);
  const { certificate, key } = files;
  const tls = ListenConfig.parse({ tls: { certificate, key, local: true } }).tls;
  using source = await startEnvoyCertificates({ tls, authority: await localAuthority(), ...base });
  expect(source?.certificates.map(({ chain }) => chain === pem.certificate)).toEqual([true, false]);
  expect(source?.trustFile("nb.apps.example.com")).toBe(certificate);
});

test("is none where visitors speak without TLS", async () => {
  expect(await startEnvoyCertificates({ tls: undefined, authority: null, ...base })).toBeNull();
});
