import type { Plan, PlanSettings, Step } from "../plan-input.ts";
import { plan } from "../plan.ts";
import { PortMemory } from "../ports.ts";
import type { Unit } from "../unit.ts";
import type { ModelCluster, Outcome } from "./model-cluster.ts";

/** A reach that looks and writes by hand. */
export class ModelGate {
  readonly cluster: ModelCluster;
  settings: PlanSettings;
  units: ReadonlyMap<string, Unit> = new Map();
  isWhole = true;
  /** Epoch ms. */
  now = 0;
  #memory = new PortMemory();

  constructor(cluster: ModelCluster, settings: Partial<PlanSettings> = {}) {
    this.cluster = cluster;
    this.settings = {
      mark: "abcdefghij-cluster",
      fence: 1,
      gateways: [{ namespace: "gw", name: "main", address: "10.0.0.5" }],
      ports: { from: 32_768, to: 65_535 },
      listenerSets: "auto",
      ...settings,
    };
  }

  want(...units: readonly Unit[]): this {
    this.units = new Map(units.map((unit) => [unit.id, unit]));
    return this;
  }

  plan(): Plan {
    const { settings, units, isWhole } = this;
    const observed = this.cluster.observe(
      settings.mark,
      settings.gateways.map(({ namespace, name }) => `${namespace}/${name}`),
    );
    this.#memory.see(observed, this.now);
    return plan({ settings, observed, units, isWhole, ports: this.#memory });
  }

  /** Looks once and does the first so many of the steps. */
  look(most = Infinity, did: (step: Step, outcome: Outcome) => void = () => undefined): Plan {
    const planned = this.plan();
    for (const step of planned.steps.slice(0, most)) did(step, this.cluster.apply(step, this.settings.mark));
    return planned;
  }

  /** Looks until nothing is left to do; throws where that does not come about. */
  settle(looks = 8, did?: (step: Step, outcome: Outcome) => void): Plan {
    for (let look = 0; look < looks; look++) {
      const planned = this.look(Infinity, did);
      if (planned.steps.length === 0) return planned;
    }
    throw new Error(`still at it: ${JSON.stringify(this.plan().steps)}`);
  }

  /** As where the proxy of Gateway gw/main cannot listen there. */
  block(port: number): void {
    this.#memory.block("gw/main", port, this.now);
  }

  /** As after kill -9: what was only remembered is gone. */
  restart(): void {
    this.#memory = new PortMemory();
    this.cluster.forget(this.settings.mark);
    this.settings = { ...this.settings, fence: this.settings.fence + 1 };
  }
}
