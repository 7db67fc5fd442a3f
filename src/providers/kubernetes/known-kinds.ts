import type { KubernetesKind } from "../../config/provider-config.ts";
import type { Texts } from "./annotations.ts";
import { determined } from "./kinds/determined.ts";
import { jupyter } from "./kinds/jupyter.ts";
import { kubeflow } from "./kinds/kubeflow.ts";
import type { PodFacts, PodKind, Recognized } from "./kinds/pod-kind.ts";
import { ray } from "./kinds/ray.ts";
import { spark } from "./kinds/spark.ts";
import { tensorboard } from "./kinds/tensorboard.ts";

/** A kind of its own: a file beside these, its name here, in the configuration's list and in the table of docs/kubernetes.md. */
export const KINDS: Readonly<Record<KubernetesKind, PodKind>> = {
  determined,
  spark,
  ray,
  jupyter,
  tensorboard,
  kubeflow,
};

/** What labels may hold, and names of Kubernetes. */
const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?$/;
const MOST_OWNER = 256;

/** Of a pod that is of a known kind, what is kept beside its annotations. */
export interface Known {
  readonly kind: KubernetesKind;
  readonly group: string;
  readonly name: string;
  readonly owner?: string;
  readonly instance?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly size?: number;
  readonly rank?: string;
  readonly follows: boolean;
  readonly isReplaced: boolean;
  /** What annotations would say of it: those that are there count before these, key by key. */
  readonly texts: Texts;
  /** Why it has no name, unless annotations give it one; null: it has. */
  readonly refusal: string | null;
}

/** Tells pods of these kinds by what their makers wrote: the first kind that takes a pod has it. null: none does. Never throws. */
export function recognizer(kinds: readonly KubernetesKind[]): (pod: PodFacts) => Known | null {
  return (pod) => {
    for (const kind of kinds) {
      const recognized = KINDS[kind](pod);
      if (recognized !== null) return knownOf(kind, recognized);
    }
    return null;
  };
}

function knownOf(kind: KubernetesKind, recognized: Recognized): Known {
  const {
    group,
    name = group,
    owner,
    instance,
    selector,
    size,
    rank,
    follows = false,
    isReplaced = false,
  } = recognized;
  return {
    ...{ kind, group, name, follows, isReplaced, texts: textsOf(kind, recognized) },
    ...(owner === undefined || owner === "" ? {} : { owner: owner.slice(0, MOST_OWNER + 1) }),
    ...(instance !== undefined && NAME.test(instance) ? { instance } : {}),
    ...(selector === undefined ? {} : { selector }),
    ...(size === undefined ? {} : { size }),
    ...(rank !== undefined && NAME.test(rank) ? { rank } : {}),
    refusal: refusalOf(kind, { group, name }),
  };
}

function textsOf(kind: KubernetesKind, { label = kind, services, landingPath }: Recognized): Texts {
  return {
    ...(services.length === 0 ? {} : { enabled: "true", services: JSON.stringify(services) }),
    kind: label,
    ...(landingPath === undefined ? {} : { "landing-path": landingPath }),
  };
}

function refusalOf(kind: KubernetesKind, names: Readonly<Record<"group" | "name", string>>): string | null {
  const bad = Object.values(names).find((text) => !NAME.test(text));
  if (bad === undefined) return null;
  const found = bad === "" ? "nothing" : JSON.stringify(bad.slice(0, 64));
  return `its labels say ${kind}, and name it ${found}; expected a name of letters, digits, dots and dashes`;
}
