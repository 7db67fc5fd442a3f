import { z } from "zod";
import { duration } from "./units.ts";

const RULE = /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \/[\x21-\x7e]{0,500}$/;

export const CullConfig = z.strictObject({
  after: duration("0ms", "365d")
    .prefault("0ms")
    .describe(
      "Stop tasks that nobody has used for so long, unless they or their services say otherwise. 0ms: only those that ask for it.",
    ),
  warnBefore: duration("1s", "7d")
    .prefault("10m")
    .describe(
      "How long before that a task says so: half of its time at most, and never less, also for a gate just started.",
    ),
  background: z
    .record(
      z.string().min(1).max(40),
      z.array(z.string().regex(RULE, { error: "expected METHOD /PATH, such as GET /api/poll*" })).max(100),
    )
    .meta({ title: "map of a kind of task, or `*`, to requests" })
    .prefault({})
    .describe(
      "Requests that are no use, beside those that are known, by the kind of task (`*`: every kind): `METHOD /PATH`, where `*` stands " +
        "for any text without ?.",
    ),
});
export type CullConfig = z.output<typeof CullConfig>;
