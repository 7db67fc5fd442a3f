import { dirname, isAbsolute, resolve } from "node:path";
import { homedir } from "node:os";
import { parse } from "yaml";
import { z } from "zod";
import { GatewayError } from "../../model/index.ts";
import type { Clock } from "../clock.ts";
import { isLoopback } from "../target-check.ts";
import { Secret } from "../secret.ts";
import type { Cluster } from "./cluster.ts";
import { writtenCredentials, type Credentials } from "./credentials.ts";
import { execCredentials } from "./exec-credentials.ts";
import { fileText, fixedText, readBounded, type TextSource } from "./text-source.ts";

const text = z.string().min(1);
const EXEC_VERSIONS = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"] as const;

const ClusterEntry = z.object({
  server: z.url({ protocol: /^https?$/ }),
  "certificate-authority": text.optional(),
  "certificate-authority-data": text.optional(),
  "insecure-skip-tls-verify": z.boolean().optional(),
  "tls-server-name": text.optional(),
  "proxy-url": z.undefined({ error: "a proxy is not supported; give the server's own address" }).optional(),
});

const UserEntry = z.object({
  token: text.optional(),
  tokenFile: text.optional(),
  "client-certificate": text.optional(),
  "client-certificate-data": text.optional(),
  "client-key": text.optional(),
  "client-key-data": text.optional(),
  username: text.optional(),
  password: z.string().optional(),
  as: text.optional(),
  "as-groups": z.array(text).optional(),
  "as-uid": z.undefined({ error: "is not supported" }).optional(),
  "as-user-extra": z.undefined({ error: "is not supported" }).optional(),
  "auth-provider": z.undefined({ error: "Kubernetes has no auth-provider any more; use exec" }).optional(),
  exec: z
    .object({
      apiVersion: z.enum(EXEC_VERSIONS, { error: `expected ${EXEC_VERSIONS.join(" or ")}` }),
      command: text,
      args: z.array(z.string()).nullish(),
      env: z.array(z.object({ name: text, value: z.string() })).nullish(),
      interactiveMode: z
        .enum(["Never", "IfAvailable"], { error: "nobody is there to answer; expected Never or IfAvailable" })
        .optional(),
      provideClusterInfo: z.boolean().optional(),
    })
    .optional(),
});
type ClusterEntry = z.output<typeof ClusterEntry>;
type UserEntry = z.output<typeof UserEntry>;

const Named = z.looseObject({ name: text });
/** What one file has; entries are checked when they are used, as kubectl does: a broken one beside them hurts nobody. */
const File = z.object({
  "current-context": z.string().nullish(),
  contexts: z.array(Named).nullish(),
  clusters: z.array(Named).nullish(),
  users: z.array(Named).nullish(),
});
const Context = z.object({ cluster: text, user: z.string().optional(), namespace: text.optional() });

/** One named entry, and the folder that its paths are relative to. */
interface Entry {
  readonly value: unknown;
  readonly folder: string;
  readonly path: string;
}

interface Merged {
  currentContext: string | null;
  readonly contexts: Map<string, Entry>;
  readonly clusters: Map<string, Entry>;
  readonly users: Map<string, Entry>;
}

/** Where kubectl looks: the files of KUBECONFIG, else `~/.kube/config`. */
export function kubeconfigPaths(environment: NodeJS.ProcessEnv): readonly string[] {
  const named = (environment.KUBECONFIG ?? "").split(":").filter((path) => path !== "");
  return named.length > 0 ? named : [resolve(homedir(), ".kube/config")];
}

/**
 * Reads kubeconfig files, of which the first that has a name counts, and takes one context: the current one where `context` is null. Files
 * that it names are read again as they change. Throws `bad_request` with what is wrong with which entry, and no value of it.
 */
export async function loadKubeconfig(paths: readonly string[], context: string | null, clock: Clock): Promise<Cluster> {
  const merged: Merged = { currentContext: null, contexts: new Map(), clusters: new Map(), users: new Map() };
  for (const path of paths) merge(merged, await readFile(path), path);
  const name = context ?? merged.currentContext;
  const shown = paths.join(":");
  if (name === null) throw new GatewayError("bad_request", `${shown} has no current-context; name one`);
  const chosen = take(merged.contexts, name, { kind: "context", schema: Context, shown });
  const cluster = take(merged.clusters, chosen.data.cluster, { kind: "cluster", schema: ClusterEntry, shown });
  const user =
    chosen.data.user === undefined || chosen.data.user === ""
      ? null
      : take(merged.users, chosen.data.user, { kind: "user", schema: UserEntry, shown });
  return buildCluster({ cluster, user, namespace: chosen.data.namespace ?? "default", clock });
}

async function readFile(path: string): Promise<z.output<typeof File>> {
  const content = await readBounded(path).catch((error: unknown) => {
    throw new GatewayError("bad_request", `kubeconfig ${path} cannot be read`, { cause: error });
  });
  let value: unknown;
  try {
    value = parse(content);
  } catch {
    // Without its cause, which quotes lines of the file.
    throw new GatewayError("bad_request", `kubeconfig ${path} is no YAML`);
  }
  const parsed = File.safeParse(value ?? {});
  if (parsed.success) return parsed.data;
  throw new GatewayError("bad_request", `kubeconfig ${path}: ${issueText(parsed.error)}`);
}

function merge(merged: Merged, file: z.output<typeof File>, path: string): void {
  const folder = dirname(resolve(path));
  const current = file["current-context"] ?? "";
  if (current !== "") merged.currentContext ??= current;
  const lists = [
    [file.contexts, merged.contexts, "context"],
    [file.clusters, merged.clusters, "cluster"],
    [file.users, merged.users, "user"],
  ] as const;
  for (const [entries, into, key] of lists) {
    for (const entry of entries ?? []) {
      if (!into.has(entry.name)) into.set(entry.name, { value: entry[key] ?? {}, folder, path });
    }
  }
}

interface Taken<T> {
  readonly data: T;
  readonly folder: string;
}

function take<T>(
  entries: ReadonlyMap<string, Entry>,
  name: string,
  what: { readonly kind: string; readonly schema: z.ZodType<T>; readonly shown: string },
): Taken<T> {
  const entry = entries.get(name);
  if (entry === undefined) throw new GatewayError("bad_request", `${what.shown} has no ${what.kind} named ${name}`);
  const parsed = what.schema.safeParse(entry.value);
  if (parsed.success) return { data: parsed.data, folder: entry.folder };
  throw new GatewayError("bad_request", `${entry.path}: ${what.kind} ${name}: ${issueText(parsed.error)}`);
}

/** Path and what was expected: zod says nothing of the value, which may be a secret. */
function issueText(error: z.ZodError): string {
  const [issue] = error.issues;
  return issue === undefined ? "cannot be used" : `${issue.path.join(".")}: ${issue.message}`;
}

interface Chosen {
  readonly cluster: Taken<ClusterEntry>;
  readonly user: Taken<UserEntry> | null;
  readonly namespace: string;
  readonly clock: Clock;
}

function buildCluster({ cluster, user, namespace, clock }: Chosen): Cluster {
  const { data, folder } = cluster;
  const server = new URL(data.server);
  if (server.protocol === "http:" && !isLoopback(server.hostname.replace(/^\[|\]$/g, ""))) {
    throw new GatewayError("bad_request", `${server.origin} is plain http on another machine; expected https`);
  }
  return {
    server,
    authority: sourceOf(data["certificate-authority-data"], data["certificate-authority"], { folder, clock }),
    serverName: data["tls-server-name"] ?? null,
    insecure: data["insecure-skip-tls-verify"] ?? false,
    credentials: user === null ? writtenCredentials({}) : buildCredentials(user, cluster, clock),
    headers: {
      ...(user?.data.as === undefined ? {} : { "impersonate-user": user.data.as }),
      ...(user?.data["as-groups"] === undefined ? {} : { "impersonate-group": user.data["as-groups"] }),
    },
    namespace,
  };
}

function buildCredentials({ data, folder }: Taken<UserEntry>, cluster: Taken<ClusterEntry>, clock: Clock): Credentials {
  if (data.exec !== undefined) return buildExec(data.exec, { folder, cluster: cluster.data, clock });
  const where = { folder, clock };
  const chain = sourceOf(data["client-certificate-data"], data["client-certificate"], where);
  const key = sourceOf(data["client-key-data"], data["client-key"], where);
  // A file that is named counts before the text, as its token is the one that is renewed.
  const token =
    data.tokenFile !== undefined
      ? fileText(resolve(folder, data.tokenFile), clock)
      : data.token !== undefined
        ? fixedText(data.token)
        : null;
  return writtenCredentials({
    ...(token === null ? {} : { token }),
    ...(chain === null || key === null ? {} : { certificate: { chain, key } }),
    ...(data.username === undefined
      ? {}
      : { basic: { user: data.username, password: new Secret(data.password ?? "") } }),
  });
}

function buildExec(
  exec: NonNullable<UserEntry["exec"]>,
  { folder, cluster, clock }: { readonly folder: string; readonly cluster: ClusterEntry; readonly clock: Clock },
): Credentials {
  const { apiVersion, command } = exec;
  const isPath = command.includes("/") && !isAbsolute(command);
  const told = {
    server: cluster.server,
    "certificate-authority-data": cluster["certificate-authority-data"],
    "tls-server-name": cluster["tls-server-name"],
    "insecure-skip-tls-verify": cluster["insecure-skip-tls-verify"],
  };
  return execCredentials(
    {
      apiVersion,
      command: isPath ? resolve(folder, command) : command,
      args: exec.args ?? [],
      env: Object.fromEntries((exec.env ?? []).map(({ name, value }) => [name, value])),
      ...(exec.provideClusterInfo === true ? { cluster: told } : {}),
    },
    clock,
  );
}

/** What is written in the file counts before a path in it, as for kubectl. */
function sourceOf(
  data: string | undefined,
  path: string | undefined,
  { folder, clock }: { readonly folder: string; readonly clock: Clock },
): TextSource | null {
  if (data !== undefined) return fixedText(Buffer.from(data, "base64").toString("utf8"));
  return path === undefined ? null : fileText(resolve(folder, path), clock);
}
