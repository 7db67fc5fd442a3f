import { expect, test } from "vitest";
import { commonSelector, exactLabels } from "./exact-labels.ts";

const JOB = { kind: "Job", name: "train" };

test.each([
  [{ "statefulset.kubernetes.io/pod-name": "nb-0", app: "nb" }, null, { "statefulset.kubernetes.io/pod-name": "nb-0" }],
  // Somebody wrote that: no StatefulSet names another pod.
  [{ "statefulset.kubernetes.io/pod-name": "other-0" }, null, null],
  [{ "batch.kubernetes.io/job-name": "train", "job-name": "train" }, JOB, { "batch.kubernetes.io/job-name": "train" }],
  [{ "job-name": "train" }, JOB, { "job-name": "train" }],
  [{ "job-name": "train" }, { kind: "MPIJob", name: "train" }, null],
  [{ determined: "a.1", "job-name": "train" }, JOB, { determined: "a.1" }],
  [
    { "spark-app-selector": "s-1", "spark-role": "driver" },
    null,
    { "spark-app-selector": "s-1", "spark-role": "driver" },
  ],
  [{ "ray.io/cluster": "r", "ray.io/node-type": "head" }, null, { "ray.io/cluster": "r", "ray.io/node-type": "head" }],
  [{ "ray.io/cluster": "r", "ray.io/node-type": "worker" }, null, null],
  [{ app: "web", "pod-template-hash": "abc" }, { kind: "ReplicaSet", name: "web-abc" }, null],
])("of %j made by %j picks by %j", (labels, controller, picked) => {
  expect(exactLabels({ name: "nb-0", labels, controller })).toEqual(picked);
});

test("several pods are picked by one label that differs, and by nothing that others have, too", () => {
  const [a, b] = [{ name: "s-1" }, { name: "s-0" }];
  expect(commonSelector([a, b], [])).toEqual({ name: ["s-0", "s-1"] });
  expect(commonSelector([a], [b, null])).toEqual({ name: ["s-1"] });
  expect(commonSelector([a, b], [{ name: "s-0" }])).toBeNull();
  expect(commonSelector([], [])).toBeNull();
  expect(commonSelector([a, null], [])).toBeNull();
  expect(commonSelector([a, { other: "x" }], [])).toBeNull();
  const [driver, twin] = [
    { app: "1", role: "x" },
    { app: "2", role: "y" },
  ];
  expect(commonSelector([driver], [])).toEqual({ app: ["1"], role: ["x"] });
  // It would pick 1 y and 2 x as well.
  expect(commonSelector([driver, twin], [])).toBeNull();
});
