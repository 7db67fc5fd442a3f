import { Counters } from "../../counters.ts";
import { add, addTime, type Block, DIAL_SLOTS, type PlaneFigures, SLOT } from "../../figures.ts";
import type { EnvoyFlow } from "./envoy-flow.ts";
import type { DialFailure } from "./verdict.ts";

/** What Envoys tell, counted as a plane counts what it does itself. */
export class Tally {
  readonly #counters = new Counters();

  figures(dropped: PlaneFigures["dropped"]): PlaneFigures {
    return this.#counters.figures(dropped);
  }

  /** It was let in, and is open. */
  opened(flow: EnvoyFlow, service: string): void {
    for (const block of this.#blocks(flow, service)) add(block, SLOT.open, 1);
  }

  /** Its answer has a status. Once for each flow. `service`: null where it came for nothing that there is, or was not let in. */
  answered(flow: EnvoyFlow, service: string | null): void {
    const { kind, startedAt, firstByteAt, source } = flow;
    this.#counters.answered(flow, service === null ? null : this.#counters.service(service));
    if (source === "app" && firstByteAt > 0)
      addTime(this.#counters.kind(kind), SLOT.firstByte, (firstByteAt - startedAt) / 1000);
  }

  /** It is over; before, it was opened. */
  closed(flow: EnvoyFlow, service: string): void {
    const { kind, startedAt, closedAt, bytesIn, bytesOut, aborted, tries } = flow;
    const seconds = (closedAt - startedAt) / 1000;
    const [sums, own] = this.#blocks(flow, service);
    for (const block of [sums, own]) {
      add(block, SLOT.open, -1);
      add(block, SLOT.bytesIn, bytesIn);
      add(block, SLOT.bytesOut, bytesOut);
      if (aborted) add(block, SLOT.aborted, 1);
      if (tries > 1) add(block, SLOT.retries, tries - 1);
    }
    addTime(sums, SLOT.duration, seconds);
    if (kind === "http" || kind === "grpc") addTime(own, SLOT.duration, seconds);
  }

  dialled(service: string, seconds: number): void {
    for (const block of this.#dialBlocks(service)) addTime(block, SLOT.connect, seconds);
  }

  dialFailed(service: string, failure: DialFailure): void {
    for (const block of this.#dialBlocks(service)) add(block, DIAL_SLOTS[failure], 1);
  }

  /** The service left the table. */
  forget(service: string): void {
    this.#counters.forget(service);
  }

  #blocks({ kind }: EnvoyFlow, service: string): readonly [sums: Block, own: Block] {
    return [this.#counters.kind(kind), this.#counters.service(service)];
  }

  #dialBlocks(service: string): readonly Block[] {
    return [this.#counters.upstreams, this.#counters.service(service)];
  }
}
