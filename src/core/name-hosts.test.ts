import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import {
  aliasLabel,
  isHashLabel,
  nameHash,
  nameService as nameOf,
  nameTask,
  replicaLabel,
  serviceLabel,
} from "./name-hosts.ts";

const NB = { provider: "local", task: "t1", taskName: "nb", service: "web" };

const nameService = ({ provider, task, taskName, service }: typeof NB) =>
  nameOf(nameTask(provider, task, taskName), service);

test("the hash is the first 80 bits of SHA-256 in base32, as another implementation makes it", () => {
  for (const text of ["", "5:local2:t13:web", "übung", "x".repeat(500)]) {
    const bits = [...createHash("sha256").update(text).digest().subarray(0, 10)]
      .map((byte) => byte.toString(2).padStart(8, "0"))
      .join("");
    const letters = bits.match(/.{5}/g)?.map((five) => "abcdefghijklmnopqrstuvwxyz234567"[parseInt(five, 2)]);
    expect(nameHash(text)).toBe(letters?.join(""));
  }
  expect(nameHash("")).toBe("4oymiquy7qobjgx3");
});

test("the generated name of a service is pinned, because links hold it", () => {
  expect(serviceLabel(nameService(NB))).toBe("web-nb-li365uxpse2eijn2");
});

test("the generated name of a replica is pinned, because links hold it", () => {
  expect(replicaLabel(nameService(NB), "0")).toBe("web-nb-0-li365uxpse2eijn2");
  expect(replicaLabel(nameService(NB), "Pod_0")).toBe("web-nb-pod-0-6zchoj6irjo6eou3");
});

test("no two replicas share a name, nor does one have its service's, whatever is cut or respelled", () => {
  const replicas = [
    "0",
    "a-b",
    "a.b",
    "A-B",
    "a--b",
    "worker-7f9c4d-abcde",
    "worker-7f9c4d-abcdf",
    "x".repeat(14),
    "x".repeat(15),
  ];
  for (const taskName of ["nb", "nb-0", "t".repeat(46), `${"t".repeat(40)}-0`, `${"t".repeat(38)}-a-b`, "日本語"]) {
    const named = nameService({ ...NB, taskName });
    const labels = [serviceLabel(named), ...replicas.map((replica) => replicaLabel(named, replica))];
    expect(new Set(labels).size).toBe(labels.length);
  }
});

test("the parts of an identity are kept apart: moving a letter from one to the next gives another name", () => {
  const hashOf = (provider: string, task: string, service: string) =>
    nameService({ provider, task, taskName: "same", service }).identity;
  const identities = [
    hashOf("ab", "c", "d"),
    hashOf("a", "bc", "d"),
    hashOf("a", "b", "cd"),
    hashOf("a:1", "b", "c"),
    hashOf("a", "1:b", "c"),
  ];
  expect(new Set(identities).size).toBe(identities.length);
});

test("a renamed task keeps its hash, a task of the same name has another one", () => {
  const hash = (named: typeof NB) => serviceLabel(nameService(named)).slice(-16);
  expect(hash({ ...NB, taskName: "other" })).toBe(hash(NB));
  expect(hash({ ...NB, task: "t2" })).not.toBe(hash(NB));
  expect(hash({ ...NB, provider: "k8s" })).not.toBe(hash(NB));
});

test("every label is a DNS label of at most 63 characters that keeps its whole hash, whatever the names hold", () => {
  const names = [
    "nb",
    "My Notebook (éà) ",
    "x".repeat(253),
    "---",
    "日本語",
    "a-".repeat(100),
    "XN--80AK6AA92E",
    "0",
    "_.-",
  ];
  for (const taskName of names)
    for (const service of ["web", "W.e_b", "s".repeat(63), "a"])
      for (const replica of ["0", "worker-7f9c4d-abcde", "r".repeat(253), "10.0.0.1:80"]) {
        const named = nameService({ provider: "k8s", task: "t", taskName, service });
        for (const label of [serviceLabel(named), replicaLabel(named, replica)]) {
          expect(label).toMatch(/^[a-z0-9](?:[a-z0-9]|-(?!-)){0,61}[a-z0-9]$/);
          expect(label).toMatch(/-[a-z2-7]{16}$/);
          expect(isHashLabel(label)).toBe(true);
        }
        const alias = aliasLabel(named, false);
        if (alias !== "") expect(alias).toMatch(/^[a-z0-9](?:[a-z0-9]|-(?!-)){0,61}[a-z0-9]?$/);
      }
});

test("the short name is the task's for its first service and has the service before it for others", () => {
  const named = nameService({ ...NB, taskName: "My Notebook", service: "tensor_board" });
  expect(aliasLabel(named, true)).toBe("my-notebook");
  expect(aliasLabel(named, false)).toBe("tensor-board-my-notebook");
});

test("a task whose name has no letter or digit has no short name", () => {
  expect(aliasLabel(nameService({ ...NB, taskName: "日本語" }), true)).toBe("");
  expect(aliasLabel(nameService({ ...NB, taskName: "日本語" }), false)).toBe("");
});

test("encoded labels (xn--) cannot be forged: dashes come one at a time", () => {
  expect(aliasLabel(nameService({ ...NB, taskName: "xn--80ak6aa92e" }), true)).toBe("xn-80ak6aa92e");
});
