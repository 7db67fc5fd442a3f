import { expect, test } from "vitest";
import { type Draft, readSecret, secretName, type Secret, toSecret } from "./entry-secret.ts";

const PLACE = { namespace: "gate", store: "taskgate" };
const NAME = secretName(PLACE, "token", "a/B \u0000");
const DRAFT: Draft = {
  name: NAME,
  kind: "token",
  key: "a/B \u0000",
  value: '{"n":1}',
  expiresAt: 1_800_000_000_000,
  isRemoved: false,
  write: "w",
};

/** As a server gives it back. */
function kept(draft: Draft, change: Partial<Secret> = {}): Secret {
  const secret = toSecret(PLACE, draft, 7);
  return { ...secret, ...change };
}

test("has all that it says in what a cluster encrypts, under a name that tells no key", () => {
  const { metadata, data } = toSecret(PLACE, DRAFT, null);
  expect(NAME).toMatch(/^taskgate-token-[0-9a-f]{64}$/);
  expect(metadata).toEqual({
    namespace: "gate",
    name: NAME,
    labels: { "app.kubernetes.io/managed-by": "taskgate", "taskgate.dev/store": "taskgate" },
  });
  expect(Object.keys(data ?? {})).toEqual(["kind", "key", "write", "value", "expiresAt"]);
});

test("reads what it wrote, removals too", () => {
  expect(readSecret(PLACE, kept(DRAFT))).toEqual({ ...DRAFT, version: 7 });
  const removed = { ...DRAFT, value: null, expiresAt: null, isRemoved: true };
  expect(readSecret(PLACE, kept(removed))).toEqual({ ...removed, version: 7 });
});

test("takes nothing that somebody broke, or put there", () => {
  const secret = kept(DRAFT);
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const broken: readonly Secret[] = [
    { ...secret, type: "Opaque" },
    { ...secret, data: null },
    { ...secret, metadata: { ...secret.metadata, name: "taskgate-token-other" } },
    { ...secret, data: { ...secret.data, kind: base64("grant") } },
    { ...secret, data: { ...secret.data, value: base64("{") } },
    { ...secret, data: { ...secret.data, expiresAt: base64("soon") } },
    { ...secret, metadata: { ...secret.metadata, resourceVersion: "x" } },
  ];
  for (const each of broken) expect(readSecret(PLACE, each)).toBeNull();
});
