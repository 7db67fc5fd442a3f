import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findProgram } from "./programs.ts";

const folder = mkdtempSync(join(tmpdir(), "taskgate-programs-"));
const [set, onPath] = [join(folder, "set"), join(folder, "on-path")];

beforeAll(() => {
  for (const parent of [set, onPath]) {
    mkdirSync(parent);
    writeFileSync(join(parent, "kube-apiserver"), "");
    chmodSync(join(parent, "kube-apiserver"), 0o755);
  }
  writeFileSync(join(onPath, "kubelet"), "", { mode: 0o644 });
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("a program of the testbed's", () => {
  test("is the one that its setting names, then that of the set folder, then that on the PATH", () => {
    const environment = { PATH: `/nowhere:${onPath}` };
    expect(findProgram("kube-apiserver", environment)).toBe(join(onPath, "kube-apiserver"));
    const withFolder = { ...environment, TASKGATE_KUBERNETES_PROGRAMS: set };
    expect(findProgram("kube-apiserver", withFolder)).toBe(join(set, "kube-apiserver"));
    const named = join(onPath, "kube-apiserver");
    expect(findProgram("kube-apiserver", { ...withFolder, TASKGATE_KUBE_APISERVER: named })).toBe(named);
  });

  test("is missing where none is there, or what is there cannot be run", () => {
    expect(findProgram("etcd", { PATH: onPath })).toBeUndefined();
    expect(findProgram("kubelet", { PATH: onPath })).toBeUndefined();
    expect(findProgram("kubelet", {})).toBeUndefined();
  });

  test("is not guessed where a setting is wrong", () => {
    const environment = { PATH: onPath, TASKGATE_KUBELET: join(onPath, "kubelet") };
    expect(() => findProgram("kubelet", environment)).toThrow("TASKGATE_KUBELET");
  });
});
