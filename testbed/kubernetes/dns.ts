import type { Cluster } from "./cluster.ts";
import { COREDNS_IMAGE } from "./images.ts";

const NAMESPACE = "kube-system";
const LABELS = { "k8s-app": "kube-dns" };
const CLUSTER_ROLE = "system:coredns";
const CORE_FILE = `.:53 {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa {
    ttl 0
  }
  cache 1
}
`;

/** CoreDNS, as clusters usually have it: names of Services and pods, and none of the world's. */
export async function installDns(cluster: Cluster): Promise<void> {
  await cluster.apply([...buildRights(), ...buildWorkload(cluster.plan.dnsAddress)]);
  await cluster.kubectl(["-n", NAMESPACE, "rollout", "status", "deployment/coredns", "--timeout=60s"]);
}

function buildRights(): readonly object[] {
  const kind = "ClusterRole";
  const reads = (group: string, resources: readonly string[]): object => ({
    apiGroups: [group],
    resources,
    verbs: ["list", "watch"],
  });
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "coredns", namespace: NAMESPACE } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind,
      metadata: { name: CLUSTER_ROLE },
      rules: [reads("", ["services", "pods", "namespaces"]), reads("discovery.k8s.io", ["endpointslices"])],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: CLUSTER_ROLE },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: CLUSTER_ROLE },
      subjects: [{ kind: "ServiceAccount", name: "coredns", namespace: NAMESPACE }],
    },
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "coredns", namespace: NAMESPACE },
      data: { Corefile: CORE_FILE },
    },
  ];
}

function buildWorkload(address: string): readonly object[] {
  const ports = [
    { name: "dns", port: 53, protocol: "UDP" },
    { name: "dns-tcp", port: 53, protocol: "TCP" },
  ];
  const container = {
    name: "coredns",
    image: COREDNS_IMAGE,
    imagePullPolicy: "Never",
    args: ["-conf", "/etc/coredns/Corefile"],
    ports: ports.map(({ name, port, protocol }) => ({ name, containerPort: port, protocol })),
    readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
    volumeMounts: [{ name: "configuration", mountPath: "/etc/coredns", readOnly: true }],
  };
  const pod = {
    serviceAccountName: "coredns",
    priorityClassName: "system-cluster-critical",
    dnsPolicy: "Default",
    terminationGracePeriodSeconds: 1,
    containers: [container],
    volumes: [{ name: "configuration", configMap: { name: "coredns" } }],
  };
  return [
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "coredns", namespace: NAMESPACE, labels: LABELS },
      spec: { selector: { matchLabels: LABELS }, template: { metadata: { labels: LABELS }, spec: pod } },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kube-dns", namespace: NAMESPACE, labels: LABELS },
      spec: { clusterIP: address, selector: LABELS, ports },
    },
  ];
}
