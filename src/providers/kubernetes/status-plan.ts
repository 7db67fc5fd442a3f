import type { Problem } from "../../model/index.ts";
import { subjectOf } from "./build-task.ts";
import { readRef, type ObjectRef } from "./object-ref.ts";
import { buildShown, NOTHING_SHOWN, problemText, type Addresses, type Shown } from "./status-annotations.ts";
import type { ToldStatus } from "./told-status.ts";

/** An object as it is now. */
export interface StatusObject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** It is to end: nobody reads what would be written on it. */
  readonly isLeaving?: boolean;
}

/** What an object is for. `made`: a part of that task. `refused`: it would be one, and a problem says why it is not. */
export interface Part {
  readonly id: string;
  readonly is: "made" | "refused";
  /** Among the first few objects of its task. */
  readonly isFirst: boolean;
}

export interface StatusObjects {
  find(ref: ObjectRef): StatusObject | undefined;
  /** null: of nothing. */
  partOf(ref: ObjectRef): Part | null;
  /** Of a task. */
  objectsOf(id: string): Iterable<ObjectRef>;
  /** All that are a part of something. */
  all(): Iterable<ObjectRef>;
}

/** A problem, and how it is shown. */
export interface Note {
  readonly problem: Problem;
  readonly text: string;
}

/** What is to be read on an object. */
export interface Wanted {
  readonly shown: Shown;
  /** Of what is wrong, that of which an Event tells, too. */
  readonly events: readonly Note[];
}

/** What is to be read on an object by all that was told; null: not known yet. */
export function planStatus(
  ref: ObjectRef,
  object: StatusObject,
  from: { readonly provider: string; readonly objects: StatusObjects; readonly told: ToldStatus },
): Wanted | null {
  const { provider, told } = from;
  const part = from.objects.partOf(ref);
  const own = told.problemsOf(subjectOf(provider, readRef(ref).kind, object)).map((problem) => noteOf(problem, null));
  if (part === null) return wanted(NOTHING_SHOWN, own, own);
  if (part.is === "refused") return own.length === 0 ? null : wanted(NOTHING_SHOWN, own, own);
  const task = `${provider}/${part.id}`;
  const status = told.task(part.id);
  const refused = told.problemsOf(task);
  if (status === undefined && refused.length === 0) return null;
  const all = [...own, ...[...refused, ...(status?.problems ?? [])].map((problem) => noteOf(problem, task))];
  // What is wrong with a task of a thousand pods is not worth a thousand Events.
  return wanted(status?.addresses ?? NOTHING_SHOWN, all, part.isFirst ? all : own);
}

function wanted(addresses: Addresses, notes: readonly Note[], events: readonly Note[]): Wanted {
  const texts = notes.map(({ text }) => text);
  return { shown: buildShown(addresses, texts), events };
}

function noteOf(problem: Problem, task: string | null): Note {
  return { problem, text: problemText(problem, task) };
}
