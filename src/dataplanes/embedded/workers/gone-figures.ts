import { type PlaneFigures, SLOT } from "../../figures.ts";

/** Figures of a worker that is gone: what it had open is closed. */
export function goneFigures(figures: PlaneFigures): PlaneFigures {
  return {
    ...figures,
    kinds: figures.kinds.map(closed),
    services: figures.services.map(([service, block]) => [service, closed(block)] as const),
  };
}

function closed(block: readonly number[]): readonly number[] {
  return block.with(SLOT.open, 0);
}
