import { join } from "node:path";
import type { Certificates } from "./certificates.ts";
import type { ConfigurationFiles } from "./configuration.ts";
import { API_PORT, NODE_NAME, type Plan } from "./plan.ts";
import type { Programs } from "./programs.ts";

/** What a cluster's processes are, in the order in which they start. */
export const PARTS = [
  "etcd",
  "kube-apiserver",
  "containerd",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
] as const;

export type PartName = (typeof PARTS)[number];

/** Those of a cluster without a node: objects can be read and written, and nobody acts on them. */
export const API_PARTS: readonly PartName[] = ["etcd", "kube-apiserver"];

export interface PartOptions {
  readonly plan: Plan;
  readonly programs: Programs;
  readonly certificates: Certificates;
  readonly files: ConfigurationFiles;
}

/** Program and arguments of a part. */
export function commandOf(part: PartName, options: PartOptions): readonly [program: string, ...args: string[]] {
  const { programs } = options;
  return [programs[part], ...ARGUMENTS[part](options)];
}

const ETCD = "http://127.0.0.1:2379";
const ETCD_PEERS = "http://127.0.0.1:2380";

const ARGUMENTS: Readonly<Record<PartName, (options: PartOptions) => readonly string[]>> = {
  etcd: ({ plan }) => [
    ...["--name=default", `--data-dir=${join(plan.folder, "etcd")}`, "--log-level=warn"],
    ...[`--listen-client-urls=${ETCD}`, `--advertise-client-urls=${ETCD}`],
    ...[`--listen-peer-urls=${ETCD_PEERS}`, `--initial-advertise-peer-urls=${ETCD_PEERS}`],
    // What it holds need not outlive the machine.
    ...[`--initial-cluster=default=${ETCD_PEERS}`, "--unsafe-no-fsync"],
  ],
  "kube-apiserver": ({ plan, certificates }) => [
    ...[`--etcd-servers=${ETCD}`, `--secure-port=${String(API_PORT)}`, `--advertise-address=${plan.nodeAddress}`],
    ...[`--service-cluster-ip-range=${plan.serviceRange}`, "--authorization-mode=Node,RBAC", "--allow-privileged=true"],
    ...[`--client-ca-file=${certificates.authority.certificate}`, "--enable-admission-plugins=NodeRestriction"],
    ...[
      `--tls-cert-file=${certificates.apiServer.certificate}`,
      `--tls-private-key-file=${certificates.apiServer.key}`,
    ],
    ...["--service-account-issuer=https://kubernetes.default.svc.cluster.local"],
    `--service-account-key-file=${certificates.serviceAccounts.publicKey}`,
    `--service-account-signing-key-file=${certificates.serviceAccounts.key}`,
    `--kubelet-certificate-authority=${certificates.authority.certificate}`,
    `--kubelet-client-certificate=${certificates.apiServerToKubelet.certificate}`,
    `--kubelet-client-key=${certificates.apiServerToKubelet.key}`,
    "--kubelet-preferred-address-types=InternalIP",
  ],
  "kube-controller-manager": ({ certificates, files }) => [
    ...[`--kubeconfig=${files["kube-controller-manager"]}`, "--leader-elect=false", "--bind-address=127.0.0.1"],
    ...["--use-service-account-credentials", `--root-ca-file=${certificates.authority.certificate}`],
    `--service-account-private-key-file=${certificates.serviceAccounts.key}`,
    `--cluster-signing-cert-file=${certificates.authority.certificate}`,
    `--cluster-signing-key-file=${certificates.authority.key}`,
  ],
  "kube-scheduler": ({ files }) => [
    ...[`--kubeconfig=${files["kube-scheduler"]}`, "--leader-elect=false", "--bind-address=127.0.0.1"],
  ],
  containerd: ({ files }) => ["--config", files.containerd],
  kubelet: ({ plan, files }) => [
    ...[`--config=${files.kubelet}`, `--kubeconfig=${files.kubeletAccess}`, `--hostname-override=${NODE_NAME}`],
    ...[`--node-ip=${plan.nodeAddress}`, `--root-dir=${join(plan.folder, "kubelet")}`],
  ],
  "kube-proxy": ({ files }) => [`--config=${files["kube-proxy"]}`],
};
