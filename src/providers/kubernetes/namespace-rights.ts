import { NamespaceRights, type KubernetesRight } from "../../config/provider-config.ts";
import type { Identity } from "../../model/index.ts";
import type { KubernetesObject } from "../../platform/kubernetes/objects.ts";
import { PREFIX, readJson } from "./annotations.ts";
import { rightsOf, type Rights } from "./rights.ts";

/** Characters. */
const MOST_TEXT = 16 * 1024;

/** Of a Namespace, what its annotation gives to what is in it. */
export interface KeptNamespace {
  readonly name: string;
  /** null: nothing. */
  readonly given: NamespaceRights | null;
  /** What is wrong with the annotation; null: nothing. */
  readonly refusal: string | null;
}

/** null: it says nothing of rights. */
export function keepNamespace({ metadata: { name, annotations = {} } }: KubernetesObject): KeptNamespace | null {
  const text = annotations[`${PREFIX}rights`];
  if (text === undefined) return null;
  if (text.length > MOST_TEXT) {
    return { name, given: null, refusal: `${PREFIX}rights is longer than ${String(MOST_TEXT)} characters` };
  }
  const read = readJson("rights", text, { schema: NamespaceRights, short: () => JSON.parse(text) as unknown });
  return "kind" in read ? { name, given: null, refusal: read.message } : { name, given: read.value, refusal: null };
}

/** The rights of namespaces: of the first rule of the configuration that is for one, and of what its own object gives beside. */
export class RightsBook {
  readonly #rules: readonly KubernetesRight[];
  readonly #owner: Identity;
  readonly #given = new Map<string, NamespaceRights>();
  readonly #known = new Map<string, Rights>();

  /** `owner`: of tasks that name none, where nobody else is said. */
  constructor(rules: readonly KubernetesRight[], owner: Identity) {
    this.#rules = rules;
    this.#owner = owner;
  }

  of(namespace: string): Rights {
    const rights = this.#known.get(namespace) ?? this.#build(namespace);
    this.#known.set(namespace, rights);
    return rights;
  }

  /** What the object of a namespace gives from now on; null: nothing. */
  give(namespace: string, given: NamespaceRights | null): void {
    this.#known.delete(namespace);
    if (given === null) this.#given.delete(namespace);
    else this.#given.set(namespace, given);
  }

  #build(namespace: string): Rights {
    return rightsOf(namespace, this.#owner, { rules: this.#rules, given: this.#given.get(namespace) ?? null });
  }
}
