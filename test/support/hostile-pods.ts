import type { EndpointSlice, KubernetesObject } from "../../src/platform/kubernetes/objects.ts";
import { ENDPOINT_SLICES, PODS, SERVICES } from "../../src/platform/kubernetes/resource.ts";
import type { PodWriter } from "../../testbed/kubernetes/written-pods.ts";

const ENABLED = { "taskgate.dev/enabled": "true" };
const FOREVER = new AbortController().signal;

/** What others have, who are not to be hurt. */
export interface Victims {
  /** Names of tasks. */
  readonly names: readonly string[];
  /** Where they answer, and where the gate may. */
  readonly ip: string;
  readonly port: number;
  readonly gatePort: number;
}

/** One object with something wrong. */
interface Hostile {
  readonly annotations?: Readonly<Record<string, string>>;
  /** Default: an address that pods may have. */
  readonly ip?: string;
  readonly ports?: readonly object[];
  readonly hostNetwork?: boolean;
  /** Of the Service that it is, the endpoints that somebody wrote for it. */
  readonly endpoints?: EndpointSlice["endpoints"];
}

const named = (annotations: Readonly<Record<string, string>>): Hostile => ({
  annotations: Object.fromEntries(Object.entries(annotations).map(([name, text]) => [`taskgate.dev/${name}`, text])),
});
const service = (fields: object): Hostile =>
  named({ services: JSON.stringify([{ name: "web", targetPort: 80, ...fields }]) });
const pick = <T>(values: readonly T[], at: number): T => values[at % values.length]!;

/** What somebody may write who means ill, or no good. `at`: which of its kind. */
const WRONGS: readonly ((at: number, victims: Victims) => Hostile)[] = [
  (at) => named({ enabled: pick(["yes", "TRUE", "1", "", "true ", "\u0000"], at) }),
  (at) => named({ services: `[${"{".repeat(at)}` }),
  () => named({ services: "[".repeat(16_000) }),
  () => named({ services: '{"a":'.repeat(3000) }),
  () => named({ services: "a".repeat(250_000) }),
  () => named({ access: `{"with":["${"\\u0041".repeat(40_000)}"]}` }),
  (at) => service({ targetPort: pick([0, 65_536, -1, 1.5, 1e300, null, [], "Web", "web:80"], at) }),
  () => named({ services: Array.from({ length: 1000 }, (_, port) => `p${String(port)}:${String(port + 1)}`).join() }),
  (at) => named({ [pick(["constructor", "hasOwnProperty", "frobnicate", "Services", "x".repeat(63)], at)]: "x" }),
  () => named(Object.fromEntries(Array.from({ length: 500 }, (_, key) => [`x-${String(key)}`, "y".repeat(400)]))),
  (at) =>
    named({ name: pick(["../../etc/passwd", "UPPER", "ünï", "a".repeat(64), " ", "*", "a.b", "-", "\u202e"], at) }),
  (at, { names }) => (at < names.length ? named({ name: names[at]! }) : named({ host: pick(names, at) })),
  (at, { names }) => named({ path: `/${pick(names, at)}/` }),
  (at, { names }) => service({ protocol: "tls", serverName: `${pick(names, at)}.localhost` }),
  (at, { port }) => service({ protocol: "tcp", port: pick([22, port, 1, 65_535], at) }),
  (at) =>
    named({
      owner: pick(
        ["corp/root", "local/somebody-else", "group:admins", "a/b/c", "/", "\u202eevil", "x".repeat(257)],
        at,
      ),
    }),
  (at) => named({ access: pick(['{"with":[1,2]}', "everybody", '{"anyone":"root"}', "[]", '{"__proto__":{}}'], at) }),
  () => named({ access: JSON.stringify({ with: Array.from({ length: 501 }, (_, user) => `u${String(user)}`) }) }),
  () => named({ services: "web:80, web:81" }),
  (at) => named({ "landing-path": pick(["//evil.example", "javascript:alert(1)", "/\\evil", "", "/\r\nx: y"], at) }),
  () => service({ policy: { upstreamTls: { authority: 5 } } }),
  (at) => service({ policy: pick([{ connectTimeoutMs: 0 }, { frame: "" }, { eval: "1" }, [], null], at) }),
  () => named({ services: '[{"__proto__":{"a":1},"constructor":{"prototype":{}},"name":"web","targetPort":80}]' }),
  (at) => service({ name: pick(["", "A", "a".repeat(64), "a/b", "..", "ä"], at) }),
  () => service({ targetPort: "nowhere" }),
  (at, { port }) => ({
    ip: pick(["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "255.255.255.255", "fe80::1"], at),
    ...service({ targetPort: port }),
  }),
  (_at, { gatePort }) => service({ targetPort: gatePort }),
  () => ({ hostNetwork: true }),
  () => ({ ports: [] }),
  () => ({ ports: Array.from({ length: 300 }, (_, port) => ({ name: `p${String(port)}`, containerPort: port + 1 })) }),
  (at) => named({ kind: pick(["x".repeat(129), "\u202eknip", "a\u0007b"], at) }),
  (_at, { ip }) => ({ endpoints: [{ addresses: [ip] }] }),
  (_at, { ip }) => ({
    endpoints: [{ addresses: [ip], targetRef: { kind: "Pod", namespace: "kube-system", name: "a", uid: "b" } }],
  }),
];

/** Names of what `writeHostile` has written; each also in its task's key, unless it is called `as`. */
export interface Written {
  readonly name: string;
  readonly as: string;
}

/** Writes the one of that number: each of what can be wrong in turn. */
export async function writeHostile(writer: PodWriter, number: number, victims: Victims): Promise<Written> {
  const at = Math.floor(number / WRONGS.length);
  const wrong = pick(WRONGS, number)(at, victims);
  const name = `h-${String(number)}`;
  const annotations: Readonly<Record<string, string>> = { ...ENABLED, ...wrong.annotations };
  const metadata = { namespace: writer.namespace, name, annotations };
  if (wrong.endpoints === undefined) {
    const { ports = [{ name: "web", containerPort: 80 }], hostNetwork = false, ip = victims.ip } = wrong;
    const spec = { hostNetwork, containers: [{ name: "main", image: "example/evil:1", ports }] };
    await writer.client.create(PODS, { metadata, spec } as KubernetesObject, FOREVER);
    await writer.tell(name, { ip, isReady: true });
  } else {
    const spec = { ports: [{ name: "web", port: 80 }] };
    await writer.client.create(SERVICES, { metadata, spec }, FOREVER);
    const labels = { "kubernetes.io/service-name": name };
    const slice = {
      ...{ metadata: { namespace: writer.namespace, name, labels }, addressType: "IPv4" },
      ...{ ports: [{ name: "web", port: victims.port }], endpoints: wrong.endpoints },
    };
    await writer.client.create(ENDPOINT_SLICES, slice, FOREVER);
  }
  return { name, as: annotations["taskgate.dev/name"] ?? name };
}
