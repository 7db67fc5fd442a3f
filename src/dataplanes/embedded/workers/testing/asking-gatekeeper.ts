import {
  type Decision,
  type Gatekeeper,
  plainHead,
  type PlainHead,
  readHead,
  type Route,
  type Session,
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
const OPENED: Notice<{ readonly id: number; readonly session: Session | null; readonly route: Route }> = {
  name: "test.opened",
};
const CLOSED: Notice<{ readonly id: number; readonly bytesIn: number; readonly bytesOut: number }> = {
  name: "test.closed",
};
const CUT: Notice<number> = { name: "test.cut" };

/** Lets the test's own gatekeeper, in the test's process, decide about every request and hear of every connection of every worker. */
export function askedAuthority(gatekeeper: Gatekeeper): WorkerAuthority {
  return {
    serve(link) {
      const records = new Map<number, ReturnType<Gatekeeper["opened"]>>();
      link.answer(ASK, async ({ route, head, checked }, signal) => {
        const decision = checked ? gatekeeper.check(route, readHead(head)) : ({ kind: "ask" } as const);
        return decision.kind === "ask" ? gatekeeper.admit(route, readHead(head), signal) : decision;
      });
      link.hear(OPENED, ({ id, session, route }) => {
        records.set(
          id,
          gatekeeper.opened(session, route, () => link.tell(CUT, id)),
        );
      });
      link.hear(CLOSED, ({ id, bytesIn, bytesOut }) => {
        records.get(id)?.closed(bytesIn, bytesOut);
        records.delete(id);
      });
      return {
        grounding: null,
        [Symbol.dispose]() {
          for (const record of records.values()) record.closed(0, 0);
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
    opened(session, route, cut) {
      const id = nextId;
      nextId += 1;
      cuts.set(id, cut);
      link.tell(OPENED, { id, session, route });
      return {
        closed(bytesIn, bytesOut) {
          cuts.delete(id);
          link.tell(CLOSED, { id, bytesIn, bytesOut });
        },
      };
    },
    [Symbol.dispose]: () => undefined,
  };
}
