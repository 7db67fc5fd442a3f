import { hostSteps } from "./host-steps.ts";
import { readFence } from "./marks.ts";
import { planObjects } from "./object-steps.ts";
import { OwnObjects } from "./own-objects.ts";
import { placeUnits } from "./placement.ts";
import type { Held, Plan, PlanInput } from "./plan-input.ts";
import { surveyGateways, type Survey } from "./survey.ts";

/**
 * What is to be written for the cluster to be as the units want it, from how it is; and what they have by now. Nothing that does not carry this
 * reach's mark is ever changed. Looking again after some or all of the steps, or after a gate was killed at any of them, leads to the same end.
 */
export function plan(input: PlanInput): Plan {
  const survey = surveyGateways(input.observed, input.settings);
  const own = new OwnObjects(input.observed, input.settings.mark);
  const placement = placeUnits(input, survey, own);
  const objects = planObjects(input, own, placement);
  const isSuperseded = hasLaterFence(survey, input);
  const held = new Map<string, Held>();
  for (const [id, { ref, listing }] of placement.kept) {
    const unit = input.units.get(id);
    if (unit === undefined) continue;
    const allotment = { gateway: ref, port: listing.listener.port, listenerSet: listing.host.set };
    held.set(id, { unit, allotment, route: objects.routes.get(id) ?? null });
  }
  const steps = isSuperseded ? [] : [...hostSteps(input, survey, placement), ...objects.steps];
  return { steps, held, refused: placement.refused, isSuperseded };
}

function hasLaterFence({ views }: Survey, { settings }: PlanInput): boolean {
  const { mark, fence } = settings;
  return views.some(({ hosts }) => hosts.some(({ object }) => readFence(object, mark) > fence));
}

export type { Held, Observed, Plan, PlanInput, PlanSettings, Refusal, Served, Step } from "./plan-input.ts";
