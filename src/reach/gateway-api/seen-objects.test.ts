import { expect, test } from "vitest";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import { SeenObjects } from "./seen-objects.ts";

const object = (version: string, uid = "u1", more: object = {}): KubernetesObject => ({
  metadata: { name: "a", namespace: "n", uid, resourceVersion: version, ...more },
});
const KEY = "n/a";

function seen() {
  const objects = new SeenObjects<KubernetesObject>();
  const hear = (heard: KubernetesObject | null, now = 0) =>
    objects.heard([KEY], new Map(heard === null ? [] : [[KEY, heard]]), now);
  return { objects, hear, version: () => objects.objects.get(KEY)?.metadata.resourceVersion };
}

test("an answer counts until the watch tells something later", () => {
  const { objects, hear, version } = seen();
  hear(object("9"));
  objects.answered(object("10"));
  hear(object("9"));
  expect(version()).toBe("10");
  hear(object("11"));
  expect(version()).toBe("11");
  objects.answered(object("10"));
  expect(version()).toBe("11");
  hear(null);
  expect(version()).toBeUndefined();
});

test("what was removed is gone, though the watch lags, and comes back where it is there after all", () => {
  const { objects, hear, version } = seen();
  hear(object("9"));
  objects.removed(object("9"), 0);
  expect(version()).toBeUndefined();
  hear(object("9"), 100);
  expect(version()).toBeUndefined();
  // Somebody's finalizer holds it.
  hear(object("12", "u1", { deletionTimestamp: "2026-01-01T00:00:00Z" }), 200);
  expect(version()).toBe("12");
  objects.removed(object("12"), 300);
  hear(object("3", "u2"), 400);
  expect(version()).toBe("3");
});

test("a removal that did not come true is forgotten", () => {
  const { objects, hear, version } = seen();
  objects.removed(object("9"), 0);
  hear(object("9"), 20_000);
  expect(version()).toBe("9");
});

test("who set which field is not kept", () => {
  const { objects } = seen();
  objects.answered(object("9", "u1", { managedFields: [{}] }));
  expect(objects.objects.get(KEY)?.metadata).not.toHaveProperty("managedFields");
});
