import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { makeMasterAuthority } from "../../../testbed/determined/master-authority.ts";
import type { SourceUpdate, Task } from "../../model/index.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLogger } from "../../platform/logger.ts";
import { recordSource } from "../provider.contract.ts";
import type { Provider } from "../provider.ts";
import { withDeterminedTls } from "./determined-tls.ts";

const WAIT = { timeout: 15_000, interval: 20 };

function task(id: string, kind: string, policy: object): Task {
  const services = [
    { name: kind, protocol: "http", guard: "gate", policy, access: { anyone: "nobody", users: [], groups: [] } },
  ];
  return { id, name: kind, kind, services, owner: { realm: "local", name: "a" }, namespace: "team", labels: {}, state: "running", endpoints: {} } as unknown as Task; // prettier-ignore
}
const NOTEBOOK = task("team.determined:1", "notebook", { upstreamTls: { verify: "none" } });
const OTHERS = [
  task("team.determined:2", "tensorboard", {}),
  task("team.mine", "notebook", { upstreamTls: { verify: "none" } }),
  task("team.determined:3", "notebook", { upstreamTls: { verify: "full" } }),
];

async function stand() {
  const folder = mkdtempSync(join(tmpdir(), "taskgate-determined-tls-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = (name: string): string => join(folder, name);
  const write = (name: string, text: string): void => writeFileSync(path(name), text, { mode: 0o600 });
  const authority = await makeMasterAuthority();
  write("ca.pem", authority.certificate);
  write("cert.pem", authority.master.certificate);
  write("key.pem", authority.master.key);
  let say: (update: SourceUpdate) => void = () => undefined;
  const inner: Provider = {
    name: "determined",
    start: (publish) => {
      say = publish;
      publish({ kind: "whole", tasks: [NOTEBOOK, ...OTHERS], problems: [] });
      return Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() });
    },
  };
  const files = { authority: path("ca.pem"), certificate: path("cert.pem"), key: path("key.pem") };
  const record = recordSource();
  const start = async (given: Partial<typeof files> = files): Promise<void> => {
    const source = await withDeterminedTls(inner, {
      files: { ...given, authority: files.authority },
      clock: systemClock,
      logger: silentLogger,
    }).start(record.publish, new AbortController().signal);
    onTestFinished(() => source[Symbol.asyncDispose]());
  };
  const tlsOf = (id: string) => record.tasks.get(id)?.services[0]?.policy.upstreamTls;
  return { authority, write, start, record, tlsOf, say: (update: SourceUpdate) => say(update) };
}

test("notebooks of Determined are spoken to as its master does, and nobody else is", async () => {
  const { authority, start, record, tlsOf } = await stand();
  await start();
  const { certificate, key } = authority.master;
  const identity = `${certificate.trimEnd()}\n${key}`;
  expect(tlsOf(NOTEBOOK.id)).toEqual({ verify: "authority", authority: authority.certificate, identity });
  for (const other of OTHERS) expect(record.tasks.get(other.id)).toBe(other);
});

test("an authority alone is enough where notebooks ask for nothing", async () => {
  const { authority, start, tlsOf } = await stand();
  await start({});
  expect(tlsOf(NOTEBOOK.id)).toEqual({ verify: "authority", authority: authority.certificate });
});

test("files that change count at once, a certificate once its key is there, and what cannot be used never", async () => {
  const { authority, write, start, tlsOf, record, say } = await stand();
  await start();
  const before = tlsOf(NOTEBOOK.id);
  const next = await authority.issue();
  write("ca.pem", "hunter2");
  write("cert.pem", next.certificate);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(tlsOf(NOTEBOOK.id)).toEqual(before);
  write("key.pem", next.key);
  await vi.waitFor(() => expect(tlsOf(NOTEBOOK.id)?.identity).toContain(next.key), WAIT);
  expect(tlsOf(NOTEBOOK.id)?.authority).toBe(authority.certificate);
  say({ kind: "change", set: [], removed: [NOTEBOOK.id], problems: [] });
  const count = record.updates.length;
  write("key.pem", authority.master.key);
  write("cert.pem", authority.master.certificate);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(record.updates.length).toBe(count);
});

test("what cannot be used at first is said, without what it holds", async () => {
  const { write, start } = await stand();
  write("key.pem", "hunter2");
  const refused = await start().then(
    () => null,
    (error: unknown) => String(error),
  );
  expect(refused).toContain("key.pem: holds no private key; expected one in PEM, without a passphrase");
  expect(refused).not.toContain("hunter2");
});
