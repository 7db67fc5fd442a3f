import { randomBytes } from "node:crypto";

/** What logs, headers and pages can hold without quoting, and nobody needs to shorten. */
const WELL_FORMED = /^[A-Za-z0-9][A-Za-z0-9._:+/=@-]{0,127}$/;

/** A visitor's X-Request-Id, or null where there is none that can be kept. Several, joined by commas, are none. */
export function parseRequestId(value: string | undefined): string | null {
  return value !== undefined && WELL_FORMED.test(value) ? value : null;
}

/** Makes ids that no other process and no other life of this one makes. They are names, not secrets: who sees one can guess the next. */
export function createRequestIds(): () => string {
  const life = randomBytes(9).toString("base64url").replace(/^[-_]/, "0");
  let count = 0;
  return () => {
    count += 1;
    return `${life}.${count.toString(36)}`;
  };
}
