import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { expect, test } from "vitest";
import type { Clock } from "../../../platform/clock.ts";
import { openLocalAuthority, type Pem } from "./local-authority.ts";
import { LocalCertificates } from "./local-certificates.ts";

const DAY_MS = 86_400_000;
const NAMES = ["localhost", "taskgate.localhost", "paths.example.org"] as const;

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "taskgate-authority-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/** null: the client was content; else why it was not. */
async function visit(pem: Pem, ca: string, to: tls.ConnectionOptions): Promise<string | null> {
  const server = tls.createServer(pem).listen(0, "127.0.0.1");
  server.on("tlsClientError", () => undefined);
  await once(server, "listening");
  const socket = tls.connect({ ...to, port: (server.address() as AddressInfo).port, ca });
  const [error] = (await Promise.race([
    once(socket, "secureConnect").then(() => [null]),
    new Promise((resolve) => socket.once("error", (cause) => resolve([cause]))),
  ])) as [NodeJS.ErrnoException | null];
  socket.destroy();
  server.close();
  return error === null ? null : error.message;
}

test("makes an authority for its owner alone, and opens the same one again", async () => {
  using folder = temporaryFolder();
  const options = { folder: join(folder.path, "authority"), names: NAMES, now: Date.now() };
  const first = await openLocalAuthority(options);
  const again = await openLocalAuthority(options);
  expect([first.isNew, again.isNew]).toEqual([true, false]);
  expect(statSync(join(options.folder, "ca-key.pem")).mode & 0o777).toBe(0o600);
  expect(statSync(options.folder).mode & 0o777).toBe(0o700);
  const own = new X509Certificate(readFileSync(first.file));
  expect([own.ca, own.checkIssued(own), own.verify(own.publicKey)]).toEqual([true, true, true]);
});

test("makes another one where it ends soon, vouches for other names, or is broken", async () => {
  using folder = temporaryFolder();
  const options = { folder: folder.path, names: NAMES, now: Date.now() };
  await openLocalAuthority(options);
  expect((await openLocalAuthority({ ...options, now: options.now + 3600 * DAY_MS })).isNew).toBe(true);
  expect((await openLocalAuthority({ ...options, names: ["example.org"] })).isNew).toBe(true);
  truncateSync(join(folder.path, "ca-key.pem"), 10);
  expect((await openLocalAuthority({ ...options, names: ["example.org"] })).isNew).toBe(true);
  expect((await openLocalAuthority({ ...options, names: ["example.org"] })).isNew).toBe(false);
});

test("issues what clients believe for its names and the loopback, and for nothing else", async () => {
  using folder = temporaryFolder();
  const authority = await openLocalAuthority({ folder: folder.path, names: NAMES, now: Date.now() });
  const ca = readFileSync(authority.file, "utf8");
  const validity = { notBefore: Date.now() - DAY_MS, notAfter: Date.now() + DAY_MS };
  for (const name of ["nb.localhost", "a.b.localhost", "paths.example.org"]) {
    expect(authority.covers(name), name).toBe(true);
    const pem = await authority.issue([name], validity);
    expect(await visit(pem, ca, { host: "127.0.0.1", servername: name }), name).toBeNull();
  }
  const standard = await authority.issue(authority.standard, validity);
  expect(await visit(standard, ca, { host: "127.0.0.1" })).toBeNull();
  expect(await visit(standard, ca, { host: "127.0.0.1", servername: "taskgate.localhost" })).toBeNull();
  for (const name of ["example.com", "xlocalhost", "example.org"]) {
    expect(authority.covers(name), name).toBe(false);
    const stolen = await authority.issue([name], validity);
    expect(await visit(stolen, ca, { host: "127.0.0.1", servername: name }), name).toContain(
      "permitted subtree violation",
    );
  }
});

test("issues by name, once, anew before the end, and keeps a bounded number", async () => {
  using folder = temporaryFolder();
  const authority = await openLocalAuthority({ folder: folder.path, names: NAMES, now: Date.now() });
  let issued = 0;
  const counted = { ...authority, standard: authority.standard, covers: (name: string) => authority.covers(name) };
  const time = { now: Date.now() };
  const clock: Clock = { now: () => time.now, after: () => ({ [Symbol.dispose]: () => undefined }) };
  const certificates = new LocalCertificates(
    { ...counted, issue: (names, validity) => ((issued += 1), authority.issue(names, validity)) },
    clock,
  );
  const [a, b] = await Promise.all([certificates.pick("a.localhost"), certificates.pick("a.localhost")]);
  expect([a === b, issued]).toEqual([true, 1]);
  expect(certificates.pick("example.com")).toBeUndefined();
  expect(await certificates.standard()).toBe(await certificates.standard());
  time.now += 21 * DAY_MS;
  expect(await certificates.pick("a.localhost")).not.toBe(a);
  expect(issued).toBe(3);
});
