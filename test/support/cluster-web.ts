import { once } from "node:events";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import type { Cluster } from "../../testbed/kubernetes/cluster.ts";
import { BUSYBOX_IMAGE } from "../../testbed/kubernetes/images.ts";

/** A pod in `default` that serves its content at port 8080, and a Service to it, port 80. Ready when it settles; the Service's address. */
export async function startWebServer(cluster: Cluster, name: string, content: string): Promise<string> {
  await cluster.apply(webServer(name, content));
  await cluster.kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=60s"]);
  return cluster.kubectl(["get", "service", name, "-o", "jsonpath={.spec.clusterIP}"]);
}

function webServer(name: string, content: string): readonly object[] {
  const script = `mkdir /tmp/www; echo ${content} > /tmp/www/index.html; echo serving ${content}; exec httpd -f -p 8080 -h /tmp/www`;
  const container = {
    ...{ name: "web", image: BUSYBOX_IMAGE, imagePullPolicy: "Never", command: ["sh", "-c", script] },
    readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
  };
  return [
    {
      ...{ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "default", labels: { app: name } } },
      spec: { terminationGracePeriodSeconds: 0, containers: [container] },
    },
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" } },
      spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
    },
  ];
}

/** What answers there, as text. */
export async function get(
  address: string,
  options: { readonly port?: number; readonly host?: string; readonly path?: string } = {},
): Promise<string> {
  const { port = 80, host = address, path = "/" } = options;
  const asked = request({ host: address, port, path, agent: false, headers: { host } }).end();
  const [answer] = (await once(asked, "response")) as [NodeJS.ReadableStream];
  return (await text(answer)).trim();
}
