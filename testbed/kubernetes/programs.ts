import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { debianProgram } from "../debian-program.ts";
import { buildGoPrograms } from "../go/build.ts";

export const KUBERNETES_VERSION = "v1.36.3";

/** What Go builds each from. */
const BUILT = {
  etcd: "./etcd",
  coredns: "./coredns",
  "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
  "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
  "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
  "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
  kubelet: "k8s.io/kubernetes/cmd/kubelet",
  kubectl: "k8s.io/kubernetes/cmd/kubectl",
} as const;

/** Debian's package of each, and where it puts the program. */
const INSTALLED = {
  containerd: ["containerd", "/usr/bin/containerd"],
  ctr: ["containerd", "/usr/bin/ctr"],
  runc: ["runc", "/usr/sbin/runc"],
  busybox: ["busybox-static", "/usr/bin/busybox", "/bin/busybox"],
  iptables: ["iptables", "/usr/sbin/iptables"],
  conntrack: ["conntrack", "/usr/sbin/conntrack"],
  /** Stands for its folder, in which the others are. */
  ptp: ["containernetworking-plugins", "/usr/lib/cni/ptp"],
} as const;

type ProgramName = keyof typeof BUILT | keyof typeof INSTALLED;

/** Path of each program that a cluster is made of. */
export type Programs = Readonly<Record<ProgramName, string>>;

/**
 * Finds each program: named by its setting (TASKGATE_KUBE_APISERVER, TASKGATE_ETCD …), else in the folder that
 * TASKGATE_KUBERNETES_PROGRAMS names, else on the PATH. What is then missing of Kubernetes is built, once (six minutes of two processors,
 * needs Go); what is missing of Debian's packages is installed.
 */
export async function kubernetesPrograms(): Promise<Programs> {
  const programs = new Map<string, string>();
  for (const [name, [packageName, ...paths]] of Object.entries(INSTALLED)) {
    programs.set(name, findProgram(name) ?? debianProgram(packageName, paths));
  }
  for (const name of Object.keys(BUILT)) {
    // The kubectl on a PATH is for other clusters: it may be far older than this one.
    const environment = name === "kubectl" ? { ...process.env, PATH: "" } : process.env;
    programs.set(name, findProgram(name, environment) ?? join(await builtFolder(), name));
  }
  return Object.fromEntries(programs) as Programs;
}

/** Path of a kubectl for clusters that are not ours: the one on the PATH, where there is one. */
export async function kubectlProgram(): Promise<string> {
  return findProgram("kubectl") ?? join(await builtFolder(), "kubectl");
}

/** The one that is there already; undefined: none is. Throws where a setting names one that is not there. */
export function findProgram(name: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const setting = `TASKGATE_${name.toUpperCase().replaceAll("-", "_")}`;
  const named = environment[setting] ?? "";
  if (named !== "") {
    if (!isProgram(named)) throw new Error(`${setting}: ${named} is no program that can be run`);
    return named;
  }
  const folders = [environment.TASKGATE_KUBERNETES_PROGRAMS ?? "", ...(environment.PATH ?? "").split(delimiter)];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function builtFolder(): Promise<string> {
  const version = (key: string, value: string): string => `-X k8s.io/component-base/version.${key}=${value}`;
  const [, major = "", minor = ""] = /^v(\d+)\.(\d+)/.exec(KUBERNETES_VERSION) ?? [];
  return buildGoPrograms({
    module: "kubernetes",
    recipe: ["go.mod", "go.sum", "programs.go", "etcd/main.go", "coredns/main.go"],
    name: `kubernetes-${KUBERNETES_VERSION}`,
    what: `building Kubernetes ${KUBERNETES_VERSION}, etcd and CoreDNS (once, about six minutes)`,
    packages: Object.values(BUILT),
    linked: [version("gitVersion", KUBERNETES_VERSION), version("gitMajor", major), version("gitMinor", minor)],
  });
}
