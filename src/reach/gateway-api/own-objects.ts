import type { ParentReference, TcpRoute } from "../../platform/kubernetes/gateway-objects.ts";
import type { EndpointSlice, KubernetesObject, KubernetesService } from "../../platform/kubernetes/objects.ts";
import { isMarked } from "./marks.ts";
import { parentText, SERVICE_NAME_LABEL, unitIdOf } from "./objects.ts";
import type { Observed } from "./plan-input.ts";

/** What carries our mark beside listeners, by unit, and what it names. */
export class OwnObjects {
  readonly services: ReadonlyMap<string, readonly KubernetesService[]>;
  readonly slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  readonly routes: ReadonlyMap<string, readonly TcpRoute[]>;
  #named: Named | null = null;

  constructor({ services, slices, routes }: Pick<Observed, "services" | "slices" | "routes">, mark: string) {
    this.services = byUnit(services.values(), mark);
    this.slices = byUnit(slices.values(), mark);
    this.routes = byUnit(routes.values(), mark);
  }

  /** Whether any route of ours names the listener: `parentText`. */
  isNamed(parent: string): boolean {
    return this.#namedByRoutes().parents.has(parent);
  }

  /** Whether a route of the unit's does. */
  namedBy(unit: string, parent: string): boolean {
    return this.parentsOf(unit).some((one) => parentText(one) === parent);
  }

  parentsOf(unit: string): readonly ParentReference[] {
    return (this.routes.get(unit) ?? []).flatMap(({ metadata, spec }) =>
      (spec?.parentRefs ?? []).map((parent) => withNamespace(parent, metadata.namespace)),
    );
  }

  /** Whether any route of ours leads to the Service, or to that of the slice. */
  isBackend({ metadata }: KubernetesObject): boolean {
    const service = metadata.labels?.[SERVICE_NAME_LABEL] ?? metadata.name;
    return this.#namedByRoutes().backends.has(`${metadata.namespace ?? ""}/${service}`);
  }

  // Only asked where something goes.
  #namedByRoutes(): Named {
    if (this.#named !== null) return this.#named;
    const [parents, backends] = [new Set<string>(), new Set<string>()];
    for (const routes of this.routes.values()) {
      for (const route of routes) {
        const named = namedBy(route);
        for (const parent of named.parents) parents.add(parent);
        for (const backend of named.backends) backends.add(backend);
      }
    }
    this.#named = { parents, backends };
    return this.#named;
  }
}

interface Named {
  /** `parentText` of all parents of routes. */
  readonly parents: ReadonlySet<string>;
  /** `NAMESPACE/NAME` of Services that routes lead to. */
  readonly backends: ReadonlySet<string>;
}

/** What was read of routes, which are other ones whenever anything of them is another. */
const READ = new WeakMap<TcpRoute, Named>();

function namedBy(route: TcpRoute): Named {
  const read = READ.get(route);
  if (read !== undefined) return read;
  const { metadata, spec } = route;
  const { namespace: own = "" } = metadata;
  const backends = spec?.rules?.flatMap((rule) => rule.backendRefs ?? []) ?? [];
  const named = {
    parents: new Set(spec?.parentRefs?.map((parent) => parentText(withNamespace(parent, own)))),
    backends: new Set(backends.map(({ name, namespace = own }) => `${namespace}/${name}`)),
  };
  READ.set(route, named);
  return named;
}

function withNamespace(parent: ParentReference, namespace = ""): ParentReference {
  return parent.namespace === undefined ? { ...parent, namespace } : parent;
}

function byUnit<T extends KubernetesObject>(objects: Iterable<T>, mark: string): ReadonlyMap<string, readonly T[]> {
  const units = new Map<string, T[]>();
  for (const object of objects) {
    if (!isMarked(object, mark)) continue;
    const unit = unitIdOf(object);
    const list = units.get(unit);
    if (list === undefined) units.set(unit, [object]);
    else list.push(object);
  }
  return units;
}
