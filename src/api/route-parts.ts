import { z } from "zod";
import { ErrorView } from "./wire.ts";

/** An answer of JSON. */
export const json = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

/** A request's body of JSON. */
export const body = <T extends z.ZodType>(schema: T) => ({
  body: { required: true, content: { "application/json": { schema } } },
});

/** An answer that is text of this type. */
export const text = (type: string, description: string) => ({
  description,
  content: { [type]: { schema: z.string() } },
});

export const failure = { default: json(ErrorView, "It failed; the code says why.") };
export const nothing = { 204: { description: "Done." } };
