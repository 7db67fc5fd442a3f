import type { EnvironmentVariable } from "../../../platform/kubernetes/objects.ts";
import type { AnnotatedService } from "../annotations.ts";
import type { DeclaredPort } from "../declared-port.ts";

/** Of a pod, what tells whose work it is: what its maker wrote. Every text may be anything. */
export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  /** Name of the Deployment, Job, StatefulSet or other controller that made the pod; of a bare pod its own. */
  readonly workload: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly containers: readonly {
    readonly name: string;
    readonly ports: readonly DeclaredPort[];
    /** As the pod has them: for looking at, not for keeping. */
    readonly env: readonly EnvironmentVariable[];
  }[];
  /** TCP ports of all containers. */
  readonly ports: readonly DeclaredPort[];
}

/** A service of a pod; what is left out is as it is for annotations. */
export type KnownService = Pick<AnnotatedService, "name"> &
  Partial<Pick<AnnotatedService, "protocol" | "policy">> & { readonly targetPort: number };

/** What a pod is by what its maker wrote on it, without a word of ours. */
export interface Recognized {
  /** Pods of a namespace and kind that share it are one task: a label's value, a name of Kubernetes. */
  readonly group: string;
  /** The task's name; absent: `group`. */
  readonly name?: string;
  /** notebook, tensorboard, …: for people; absent: the kind's own name. */
  readonly label?: string;
  /** Whose it says it is: a name in the realm of the namespace's owner, of which only the namespace's rights make one. */
  readonly owner?: string;
  /** Different for a later task of the same group; absent: as for every pod, by its controller. */
  readonly instance?: string;
  /** Labels of all pods that do the same work now, and of no others: what may lead to them as one; absent: nothing says so. */
  readonly selector?: Readonly<Record<string, string>>;
  /** How many these are to be; absent: nothing says so. */
  readonly size?: number;
  /** What the pod is called within the task; absent: as every pod. */
  readonly rank?: string;
  /** The task is as others of its pods say; this one has a part of their services. Default: false. */
  readonly follows?: boolean;
  /** Its pods stay when they are over, while others of its name come: it has no services then, and leaves their names to those. Default: false. */
  readonly isReplaced?: boolean;
  /** Empty: it is no task unless an annotation says so. */
  readonly services: readonly KnownService[];
  /** What opening the first service opens. */
  readonly landingPath?: string;
}

/** null: it is none of these. Must not throw, whatever the texts are; neither need it check them. */
export type PodKind = (pod: PodFacts) => Recognized | null;
