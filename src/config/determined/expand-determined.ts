import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { ConfigProblem } from "../config-problem.ts";
import { problemAt } from "../config-problem.ts";
import type { Finding } from "../describe-issue.ts";
import type { KubernetesProviderConfig } from "../provider-config.ts";
import { readFileDocument } from "../read-layers.ts";
import { DeterminedConfig, MASTER_KEYS } from "./determined-config.ts";
import { KeyReader } from "./key-reader.ts";
import { readManagers, type Manager } from "./managers.ts";

/** What Determined's own configuration comes to. */
export interface Expanded {
  /** One for each of its resource managers that is of Kubernetes. */
  readonly providers: readonly KubernetesProviderConfig[];
  /** Of our own file. */
  readonly findings: readonly Finding[];
  /** Of Determined's. */
  readonly problems: readonly ConfigProblem[];
}

export const NOTHING_DETERMINED: Expanded = { providers: [], findings: [], problems: [] };

/** Label on every object that Determined's master makes for an allocation. */
const SELECTOR = "determined";
const SECTION = "determined";
const LONGEST_SLUG = 21;

/**
 * Reads Determined's configuration, from its file or from within ours, by Determined's rules. `whole` is all that our file says, `file` its
 * path; null: there is none.
 */
export function expandDetermined(config: DeterminedConfig, whole: unknown, file: string | null): Expanded {
  const inline = new KeyReader(whole);
  const known = [...Object.keys(DeterminedConfig.shape), ...MASTER_KEYS];
  inline.checkNames([SECTION], known, "error");
  const written = Object.keys((inline.valueAt([SECTION]) as object | undefined) ?? {});
  const own = written.filter((key) => MASTER_KEYS.has(key));
  if (config.config === undefined) {
    // Variables alone may say what is the default: nothing of Determined's is meant by it.
    if (own.length === 0 && file === null) return { ...NOTHING_DETERMINED, findings: inline.findings };
    const managers = readManagers(inline, [SECTION]);
    return { ...expanded(config, managers, file), findings: inline.findings, problems: [] };
  }
  for (const key of own) {
    inline.fail([SECTION, key], `stands in ${config.config} already; expected determined.config, or Determined's keys here`); // prettier-ignore
  }
  return { ...readMasterFile(config, config.config), findings: inline.findings };
}

function readMasterFile(config: DeterminedConfig, file: string): Pick<Expanded, "providers" | "problems"> {
  const document = readFileDocument(file);
  // Keys that are there twice are wrong, wherever they are: nobody can say which Determined takes.
  if (document.value === undefined && document.problems.length > 0)
    return { providers: [], problems: document.problems };
  const reader = new KeyReader(document.value ?? {});
  const managers = readManagers(reader, []);
  const problems = reader.findings.map(
    ({ path, key, message, atKey, expected = null, suggestion = null, severity = "error" }) => {
      const place = atKey === true ? document.locateKey(path) : document.locate(path);
      return problemAt(place, { key, message, expected, suggestion, severity });
    },
  );
  return { ...expanded(config, managers, file), problems: [...document.problems, ...problems] };
}

function expanded(
  config: DeterminedConfig,
  managers: readonly Manager[],
  file: string | null,
): Pick<Expanded, "providers"> {
  const folder = file === null ? process.cwd() : dirname(resolve(file));
  return { providers: managers.map((manager) => providerOf(config, manager, folder)) };
}

function providerOf(config: DeterminedConfig, manager: Manager, folder: string): KubernetesProviderConfig {
  const { namespaces, owner, rights, rightsFromNamespaces, writeStatus, tls } = config;
  const { gateway, kubeconfig } = manager;
  return {
    type: "kubernetes",
    name: nameOf(manager.clusterName),
    ...(kubeconfig === null ? {} : { kubeconfig: pathOf(kubeconfig, folder) }),
    ...{ namespaces, rights, rightsFromNamespaces, writeStatus, owners: false },
    ...(owner === undefined ? {} : { owner }),
    ...{ kinds: ["determined"], selector: SELECTOR },
    ...(tls === undefined ? {} : { determinedTls: tls }),
    ...(gateway === null
      ? { reach: config.reach }
      : { reach: "gateway-api", gateway: { ...config.gateway, ...gateway } }),
  };
}

/** The same for the same cluster, whatever other clusters there are: tasks' keys begin with it. */
function nameOf(cluster: string | null): string {
  if (cluster === null) return SECTION;
  const slug = cluster
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
  if (slug === cluster && slug.length <= LONGEST_SLUG) return `${SECTION}-${slug}`;
  const hash = createHash("sha256").update(cluster).digest("hex").slice(0, 6);
  return `${SECTION}-${slug.slice(0, LONGEST_SLUG - 7)}-${hash}`.replace("--", "-");
}

/** `~` is the home of who runs the gate; what is relative is so to the file that says it. */
function pathOf(path: string, folder: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : resolve(folder, path);
}
