import type { KubernetesRight, NamespaceRights } from "../../config/provider-config.ts";
import { GatewayError, parseUser, whoText, type Identity } from "../../model/index.ts";
import type { AnnotatedService } from "./annotations.ts";

/** What the objects of one namespace may ask for; what is not given is refused. */
export interface Rights {
  /** Whose a task is that names no owner. */
  readonly owner: Identity;
  /** Why that text names nobody who may be an owner here; else who it names. */
  ownerNamed(text: string): Identity | { readonly refusal: string };
  /** Why a service may not ask for what it does; null: it may. */
  refuseService(service: AnnotatedService): string | null;
  /** Whether pods that share their node's network may be reached: their addresses are the node's. */
  readonly hostNetwork: boolean;
}

/** What gives rights: rules of the configuration, of which the first that is for a namespace counts, and what the namespace's object gives. */
export interface RightsFrom {
  readonly rules: readonly KubernetesRight[];
  /** null: nothing. */
  readonly given: NamespaceRights | null;
}

/** The rights of a namespace: what is given to it from anywhere; who owns what names no owner, the configuration says first. */
export function rightsOf(namespace: string, owner: Identity, { rules, given }: RightsFrom): Rights {
  const right = united(rules.find(({ namespaces }) => matchesOne(namespaces, namespace)) ?? NO_RIGHTS, given);
  const standard = right.owner === undefined ? owner : parseUser(right.owner, owner.realm);
  return {
    owner: standard,
    hostNetwork: right.hostNetwork,
    ownerNamed(text) {
      const named = readUser(text, standard.realm);
      if ("refusal" in named) return named;
      const isSame = named.realm === standard.realm && named.name === standard.name;
      if (isSame || matchesOne(right.owners, whoText(named))) return named;
      return { refusal: `namespace ${namespace} has no right to owner ${whoText(named)}` };
    },
    refuseService(service) {
      const what = unentitled(service, right);
      return what === null ? null : `namespace ${namespace} has no right to ${what}`;
    },
  };
}

const NO_RIGHTS: NamespaceRights = Object.freeze({
  owners: [],
  hosts: [],
  paths: [],
  ports: false,
  hostNetwork: false,
});

function united(a: NamespaceRights, b: NamespaceRights | null): NamespaceRights {
  if (b === null) return a;
  const owner = a.owner ?? b.owner;
  return {
    ...(owner === undefined ? {} : { owner }),
    owners: [...a.owners, ...b.owners],
    hosts: [...a.hosts, ...b.hosts],
    paths: [...a.paths, ...b.paths],
    ports: a.ports || b.ports,
    hostNetwork: a.hostNetwork || b.hostNetwork,
  };
}

/** The first of what a service asks for that nothing gives it; null: all is given. */
function unentitled(service: AnnotatedService, { hosts, paths, ports }: NamespaceRights): string | null {
  const { hostLabel, serverName, path, port } = service;
  const host = [hostLabel, serverName].find((name) => name !== undefined && !matchesOne(hosts, name));
  if (host !== undefined) return `host ${host}`;
  if (path !== undefined && !matchesOne(paths, path)) return `path ${path}`;
  return port === undefined || ports ? null : `raw port ${String(port)}`;
}

function readUser(text: string, realm: string): Identity | { readonly refusal: string } {
  try {
    return parseUser(text, realm);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { refusal: error.message };
  }
}

/** `*` stands for any text. */
function matchesOne(patterns: readonly string[], text: string): boolean {
  return patterns.some((pattern) => matches(pattern.split("*"), text));
}

/** By searching each part where the one before it ended: no pattern takes longer than its parts are many. */
function matches(parts: readonly string[], text: string): boolean {
  const [first = "", ...rest] = parts;
  if (rest.length === 0) return text === first;
  const last = rest.pop() ?? "";
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}
