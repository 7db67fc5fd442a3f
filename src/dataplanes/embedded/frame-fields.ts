import type { Allowed } from "./request-fields.ts";

/** The field that says who may frame a page. */
export const FRAMING = "content-security-policy";

/** What a browser may show as a page, and so in a frame. */
const SHOWN_AS_PAGE = /^\s*(text\/html|application\/xhtml\+xml|image\/svg\+xml|(text|application)\/xml)\s*(;|$)/i;
const DIRECTIVE = /^\s*frame-ancestors(\s|$)/i;

/** A field of a job that says who may frame its pages, without that; null: nothing is left. Others come back as they are. */
export function withoutFraming(key: string, value: string, { frame }: Allowed): string | null {
  if (frame?.replaces !== true) return value;
  if (key === "x-frame-options") return null;
  if (key !== FRAMING) return value;
  // Policies of one field are separated by commas, which stand nowhere else in it (CSP 3, "parse a response's Content Security Policies").
  const policies = value.split(",").map((policy) => policy.split(";").filter((part) => !DIRECTIVE.test(part)).join(";")); // prettier-ignore
  const kept = policies.filter((policy) => /[^\s;]/.test(policy)).join(",");
  return kept === "" ? null : kept;
}

/** The field by which the gate says who may frame a page of this answer, of whose fields `field` gives the joined value; null: that is nobody's question, or the job has said it. */
export function framing(field: (lower: string) => string | undefined, { frame }: Allowed): string | null {
  if (frame === undefined || !SHOWN_AS_PAGE.test(field("content-type") ?? "text/html")) return null;
  if (frame.replaces) return frame.ancestors === "*" ? null : `frame-ancestors ${frame.ancestors}`;
  const said =
    field("x-frame-options") !== undefined ||
    (field("content-security-policy") ?? "").toLowerCase().includes("frame-ancestors");
  return said ? null : `frame-ancestors ${frame.ancestors}`;
}
