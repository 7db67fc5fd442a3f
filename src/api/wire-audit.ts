import { z } from "zod";

export const AuditCheckView = z
  .strictObject({
    files: z.number(),
    lines: z.number(),
    last: z
      .string()
      .nullable()
      .describe("Link of the last line. Kept elsewhere, it shows later that nothing was taken from the end."),
    broken: z
      .array(z.strictObject({ file: z.string(), line: z.number() }))
      .describe("The first lines that do not follow from those before."),
  })
  .meta({ id: "AuditCheckView" });
export type AuditCheckView = z.output<typeof AuditCheckView>;
