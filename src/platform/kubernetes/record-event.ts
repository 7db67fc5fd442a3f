import { createHash } from "node:crypto";
import { isCode } from "../../model/index.ts";
import type { KubernetesClient } from "./client.ts";
import { microTime, type KubernetesEvent, type ObjectReference } from "./objects.ts";
import { EVENTS } from "./resource.ts";

/** Bounds of events.k8s.io/v1, in characters. */
const MOST_NOTE = 1024;
const MOST_NAME = 253;

export interface EventSpec {
  readonly regarding: ObjectReference;
  readonly type: "Normal" | "Warning";
  /** UpperCamelCase, for programs; up to 128 characters. */
  readonly reason: string;
  /** For people; cut after 1,024 characters. */
  readonly note: string;
  /** UpperCamelCase: what was being done. */
  readonly action: string;
  /** Which of our processes tells it. */
  readonly instance: string;
  /** Epoch ms. */
  readonly now: number;
  /** One that is there already says it, and is left as it is. Default: false. */
  readonly once?: boolean;
}

/** Tells of an object by an Event beside it. The same said again is counted in the Event that is there, so that nothing fills up. */
export async function recordEvent(client: KubernetesClient, spec: EventSpec, signal: AbortSignal): Promise<void> {
  const event = buildEvent(spec);
  const seen = await client.get(EVENTS, event.metadata, signal);
  try {
    if (seen === null) await client.create(EVENTS, event, signal);
    else if (spec.once !== true) {
      const count = (seen.series?.count ?? 1) + 1;
      await client.replace(EVENTS, { ...seen, series: { count, lastObservedTime: event.eventTime } }, signal);
    }
  } catch (error) {
    // Another gate said the same at the same time: it is said.
    if (!isCode(error, "conflict")) throw error;
  }
}

function buildEvent({ regarding, type, reason, note, action, instance, now }: EventSpec): KubernetesEvent {
  const said = createHash("sha256")
    .update(JSON.stringify([regarding.uid ?? "", regarding.kind, type, reason, note]))
    .digest("hex")
    .slice(0, 16);
  return {
    metadata: {
      // Events of what has no namespace are in this one.
      namespace: regarding.namespace ?? "default",
      name: `${regarding.name.slice(0, MOST_NAME - said.length - 1)}.${said}`,
    },
    eventTime: microTime(now),
    type,
    reason,
    note: note.slice(0, MOST_NOTE),
    action,
    reportingController: "taskgate.dev/gate",
    reportingInstance: instance,
    regarding,
  };
}
