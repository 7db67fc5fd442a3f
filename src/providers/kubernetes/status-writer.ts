import type { Problem } from "../../model/index.ts";
import type { ObjectMeta } from "../../platform/kubernetes/objects.ts";
import { refOf, type ObjectRef } from "./object-ref.ts";
import { NOTHING_SHOWN, readShown, shownText, type Shown } from "./status-annotations.ts";
import { StatusTerm, type StatusTermDeps } from "./status-term.ts";
import type { ToldChange } from "./told-status.ts";

export type StatusWriterDeps = Omit<StatusTermDeps, "all" | "shownOn" | "wrote">;

/**
 * Writes on objects of a cluster what became of them, while this gate leads: where a task is reached, and what is wrong. It goes by what
 * they carry and what they should, so that nothing is written twice, whoever wrote it. Disposing waits for what is under way.
 */
export class StatusWriter implements AsyncDisposable {
  readonly #deps: StatusWriterDeps;
  /** What objects carry, of those that carry something. */
  readonly #shown = new Map<ObjectRef, Shown>();
  /** Changed, and not built yet. */
  readonly #changed = new Set<ObjectRef>();
  readonly #listening: Disposable;
  #term: StatusTerm | null = null;
  /** Of terms that were. */
  #ended: Promise<void> = Promise.resolve();

  constructor(deps: StatusWriterDeps) {
    this.#deps = deps;
    this.#listening = deps.told.listen((change) => this.#heard(change));
    this.#begin();
  }

  /** Why nothing, or not everything, is written; null: all is well. */
  get problem(): Problem | null {
    return this.#term?.problem ?? null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening[Symbol.dispose]();
    this.#end();
    await this.#ended;
  }

  /** To be called with each object as it is read: whether it carries another status than it did. */
  saw(ref: ObjectRef, { annotations }: ObjectMeta): boolean {
    if (!this.#note(ref, readShown(annotations))) return false;
    this.changed(ref);
    return true;
  }

  /** The object, or what it is for, may be another now. It counts once that is `built`. */
  changed(ref: ObjectRef): void {
    this.#changed.add(ref);
  }

  built(): void {
    for (const ref of this.#changed) {
      if (this.#deps.objects.find(ref) === undefined) this.#shown.delete(ref);
      this.#term?.look(ref);
    }
    this.#changed.clear();
  }

  /** Whether it carried something else before. */
  #note(ref: ObjectRef, shown: Shown): boolean {
    if (shownText(shown) === shownText(this.#shown.get(ref) ?? NOTHING_SHOWN)) return false;
    if (shown === NOTHING_SHOWN) this.#shown.delete(ref);
    else this.#shown.set(ref, shown);
    return true;
  }

  #heard({ isAnew, tasks, subjects }: ToldChange): void {
    if (isAnew) {
      this.#end();
      this.#begin();
      return;
    }
    const { objects } = this.#deps;
    for (const id of tasks) for (const ref of objects.objectsOf(id)) this.#term?.look(ref);
    for (const subject of subjects) for (const ref of this.#refsOf(subject)) this.#term?.look(ref);
  }

  #begin(): void {
    const { told, objects } = this.#deps;
    const { leading } = told;
    if (leading === null) return;
    const shownOn = (ref: ObjectRef): Shown => this.#shown.get(ref) ?? NOTHING_SHOWN;
    const wrote = (ref: ObjectRef, shown: Shown): void => {
      // What is gone by now is told of no more, and would stay.
      if (objects.find(ref) !== undefined) this.#note(ref, shown);
    };
    this.#term = new StatusTerm({ ...this.#deps, all: () => this.#all(), shownOn, wrote }, leading);
  }

  *#all(): Iterable<ObjectRef> {
    const { told, objects } = this.#deps;
    yield* objects.all();
    yield* this.#shown.keys();
    for (const subject of told.subjects()) yield* this.#refsOf(subject);
  }

  #end(): void {
    const term = this.#term;
    this.#term = null;
    if (term !== null) this.#ended = Promise.all([this.#ended, term[Symbol.asyncDispose]()]).then(() => undefined);
  }

  /** Of a problem: the object itself, or those of the task. */
  #refsOf(subject: string): Iterable<ObjectRef> {
    const [, namespace, kind, name] = subject.split("/");
    if (name === undefined) return this.#deps.objects.objectsOf(subject.slice(subject.indexOf("/") + 1));
    return [refOf(String(kind), `${String(namespace)}/${name}`)];
  }
}
