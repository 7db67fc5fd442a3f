import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Certificates } from "./certificates.ts";
import { PAUSE_IMAGE } from "./images.ts";
import { writeKubeconfig } from "./kubeconfig.ts";
import { NODE_NAME, type Plan } from "./plan.ts";
import type { Programs } from "./programs.ts";

/** Files that parts are told to read; each of a part's own name is its configuration, or how it gets to the API where that is all. */
export interface ConfigurationFiles {
  readonly "kube-controller-manager": string;
  readonly "kube-scheduler": string;
  readonly "kube-proxy": string;
  readonly containerd: string;
  readonly kubelet: string;
  readonly kubeletAccess: string;
}

/** In the node's own /run. */
export const CONTAINERD_SOCKET = "/run/containerd/containerd.sock";

/** Writes all of them to the cluster's folder, with the kubeconfig for people. */
export function writeConfiguration(plan: Plan, certificates: Certificates, programs: Programs): ConfigurationFiles {
  const write = (name: string, content: string): string => {
    const path = join(plan.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  };
  writeKubeconfig(plan, certificates, "admin");
  const proxyAccess = writeKubeconfig(plan, certificates, "kube-proxy");
  write("cni/10-ptp.conflist", JSON.stringify(buildNetworkConfiguration(plan)));
  return {
    "kube-controller-manager": writeKubeconfig(plan, certificates, "kube-controller-manager"),
    "kube-scheduler": writeKubeconfig(plan, certificates, "kube-scheduler"),
    "kube-proxy": write("kube-proxy.json", JSON.stringify(buildProxyConfiguration(plan, proxyAccess))),
    containerd: write("containerd.toml", buildContainerdConfiguration(plan, programs)),
    kubelet: write("kubelet.json", JSON.stringify(buildKubeletConfiguration(plan, certificates))),
    kubeletAccess: writeKubeconfig(plan, certificates, "kubelet"),
  };
}

/** Every pod has a link of its own to the node, which routes: a bridge would need more of the kernel for answers of Services to come back. */
function buildNetworkConfiguration(plan: Plan): object {
  const ipam = { type: "host-local", ranges: [[{ subnet: plan.podRange }]], routes: [{ dst: "0.0.0.0/0" }] };
  return {
    cniVersion: "0.4.0",
    name: "testbed",
    plugins: [
      { type: "ptp", ipMasq: false, ipam },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
}

function buildProxyConfiguration(plan: Plan, kubeconfig: string): object {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    hostnameOverride: NODE_NAME,
    clusterCIDR: plan.podRange,
    clientConnection: { kubeconfig },
    // Those are the machine's: they stay as they are.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
    // An endpoint that is gone or ready shows at once.
    iptables: { minSyncPeriod: "0s", syncPeriod: "30s" },
  };
}

function buildKubeletConfiguration(plan: Plan, certificates: Certificates): object {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    address: plan.nodeAddress,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: certificates.authority.certificate },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: certificates.kubeletServer.certificate,
    tlsPrivateKeyFile: certificates.kubeletServer.key,
    clusterDomain: "cluster.local",
    clusterDNS: [plan.dnsAddress],
    resolvConf: "",
    // Cgroups of either version; no pod has one around its containers'.
    failCgroupV1: false,
    cgroupDriver: "cgroupfs",
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    failSwapOn: false,
    // The machine's disk and memory are others' too: how full they are is no matter of this node's.
    evictionHard: {},
    imageGCHighThresholdPercent: 100,
    maxPods: 250,
    registryPullQPS: 0,
    volumePluginDir: join(plan.folder, "volume-plugins"),
  };
}

function buildContainerdConfiguration(plan: Plan, programs: Programs): string {
  const text = JSON.stringify; // TOML's basic strings are close enough to JSON's
  return `version = 2
root = ${text(join(plan.folder, "containerd"))}
[grpc]
  address = ${text(CONTAINERD_SOCKET)}
[plugins."io.containerd.internal.v1.opt"]
  path = ${text(join(plan.folder, "opt"))}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(PAUSE_IMAGE)}
  disable_apparmor = true
  restrict_oom_score_adj = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${text(dirname(programs.ptp))}
    conf_dir = ${text(join(plan.folder, "cni"))}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        BinaryName = ${text(programs.runc)}
`;
}
