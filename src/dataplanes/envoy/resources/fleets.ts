import { providerOf } from "../../../model/index.ts";
import type { FleetSettings } from "./settings.ts";

const ALL: readonly (string | null)[] = Object.freeze([null]);

/** Whose Envoys get what is of a provider: one resource for all of them, unless a fleet is for some providers alone. */
export class Fleets {
  readonly #all: readonly FleetSettings[];
  readonly #divided: boolean;

  constructor(all: readonly FleetSettings[]) {
    this.#all = all;
    this.#divided = all.some(({ providers }) => providers !== undefined);
  }

  /** Of an upstream or service, by key. */
  of(key: string): readonly (string | null)[] {
    if (!this.#divided) return ALL;
    const provider = providerOf(key);
    return this.#all.filter(({ providers }) => providers?.includes(provider) ?? true).map(({ name }) => name);
  }

  /** The same, each by its name. */
  each(key: string): readonly string[] {
    const whose = this.of(key);
    return this.#all.map(({ name }) => name).filter((name) => whose === ALL || whose.includes(name));
  }

  /** Who could have had something that is gone. */
  get any(): readonly (string | null)[] {
    return this.#divided ? this.#all.map(({ name }) => name) : ALL;
  }
}
