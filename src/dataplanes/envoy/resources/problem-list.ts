import type { Problem } from "../../../model/index.ts";

/** What was left out, by the object that it was left out of. */
export class ProblemList {
  readonly #byObject = new Map<string, readonly Problem[]>();

  get all(): readonly Problem[] {
    return [...this.#byObject.values()].flat();
  }

  /** In the place of what was known of the object before. */
  set(object: string, problems: readonly Problem[]): void {
    if (problems.length > 0) this.#byObject.set(object, problems);
    else this.#byObject.delete(object);
  }
}
