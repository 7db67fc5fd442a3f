import {
  type Decision,
  type Gatekeeper,
  type OpenUse,
  plainHead,
  type PlainHead,
  readHead,
  type Route,
  type Use,
} from "../../../../model/index.ts";
import type { Notice, ProcessLink, Question } from "../../../../platform/process-link.ts";
import type { WorkerAuthority } from "../worker-plane.ts";

interface Asked {
  readonly route: Route;
  readonly head: PlainHead;
  /** The synchronous way was asked first. */
  readonly checked: boolean;
}
const ASK: Question<Asked, Decision> = { name: "test.ask" };
/** A use as plain data, but for its head. */
type PlainUse = Omit<Use, "head">;
const OPENED: Notice<{ readonly id: number; readonly use: PlainUse; readonly route: Route }> = {
  name: "test.opened",
};
const CLOSED: Notice<{ readonly id: number; readonly use: PlainUse }> = {
  name: "test.closed",
};
const MOVED: Notice<{ readonly id: number; readonly route: Route }> = { name: "test.moved" };
const REFUSED: Notice<{ readonly use: PlainUse; readonly route: Route | null }> = { name: "test.refused" };
const CUT: Notice<number> = { name: "test.cut" };

/** Lets the test's own gatekeeper, in the test's process, decide about every request and hear of every connection of every worker. */
export function askedAuthority(gatekeeper: Gatekeeper): WorkerAuthority {
  return {
    serve(link) {
      const records = new Map<number, { readonly use: PlainUse; readonly open: OpenUse }>();
      link.answer(ASK, async ({ route, head, checked }, signal) => {
        const decision = checked ? gatekeeper.check(route, readHead(head)) : ({ kind: "ask" } as const);
        return decision.kind === "ask" ? gatekeeper.admit(route, readHead(head), signal) : decision;
      });
      link.hear(OPENED, ({ id, use, route }) => {
        const own = { ...use, head: null };
        records.set(id, { use: own, open: gatekeeper.opened(own, route, () => link.tell(CUT, id)) });
      });
      link.hear(CLOSED, ({ id, use }) => {
        const record = records.get(id);
        if (record === undefined) return;
        Object.assign(record.use, use);
        record.open.closed();
        records.delete(id);
      });
      link.hear(MOVED, ({ id, route }) => records.get(id)?.open.moved(route));
      link.hear(REFUSED, ({ use, route }) => gatekeeper.refused({ ...use, head: null }, route));
      return {
        grounding: null,
        [Symbol.dispose]() {
          for (const record of records.values()) record.open.closed();
        },
      };
    },
  };
}

/** The worker's half: knows nothing, and asks. */
export function startAskingGatekeeper(link: ProcessLink): Gatekeeper & Disposable {
  const checked = new WeakSet<object>();
  const cuts = new Map<number, () => void>();
  let nextId = 1;
  link.hear(CUT, (id) => cuts.get(id)?.());
  return {
    check(_route, head) {
      checked.add(head);
      return { kind: "ask" };
    },
    admit: (route, head, signal) => link.ask(ASK, { route, head: plainHead(head), checked: checked.has(head) }, signal),
    opened(use, route, cut) {
      const id = nextId;
      nextId += 1;
      cuts.set(id, cut);
      link.tell(OPENED, { id, use: plainUse(use), route });
      return {
        closed() {
          cuts.delete(id);
          link.tell(CLOSED, { id, use: plainUse(use) });
        },
        moved: (moved) => link.tell(MOVED, { id, route: moved }),
      };
    },
    refused: (use, route) => link.tell(REFUSED, { use: plainUse(use), route }),
    [Symbol.dispose]: () => undefined,
  };
}

function plainUse({ kind, peer, session, bytesIn, bytesOut, status, code, largestIn, cutFor }: Use): PlainUse {
  return { kind, peer, session, bytesIn, bytesOut, status, code, largestIn, cutFor };
}
