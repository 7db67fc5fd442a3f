import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { AUDIT_KINDS, AUDIT_OUTCOMES, type AuditLine, type CutReason } from "../model/index.ts";

const DOC = readFileSync(join(import.meta.dirname, "../../docs/audit.md"), "utf8");

/** Every field of a line: the compiler says when one is missing. */
const FIELDS: Readonly<Record<keyof AuditLine, true>> = {
  ...{ time: true, kind: true, event: true, outcome: true, id: true, code: true, realm: true, user: true, proof: true },
  ...{ credential: true, peer: true, service: true, task: true, owner: true, route: true, method: true, host: true },
  ...{ path: true, status: true, operation: true, object: true, before: true, after: true, start: true, end: true },
  ...{ requests: true, errors: true, bytesIn: true, bytesOut: true, reason: true, chain: true },
};
const CUTS: Readonly<Record<CutReason, true>> = { revoked: true, expired: true, access_lost: true, route_gone: true };

function row(field: string): string {
  return DOC.split("\n").find((line) => line.startsWith(`| \`${field}\``)) ?? "";
}

test("docs/audit.md explains every field of a line, and none that is not there", () => {
  const table = /<!-- fields -->\s+([^]*?)\n\n/.exec(DOC)?.[1] ?? "";
  const listed = [...table.matchAll(/^\| `(\w+)`/gm)].map((match) => match[1]);
  expect(listed.toSorted()).toEqual(Object.keys(FIELDS).toSorted());
});

test("docs/audit.md names every kind, outcome and reason of a cut", () => {
  for (const kind of AUDIT_KINDS) expect(row("kind")).toContain(`\`${kind}\``);
  for (const outcome of AUDIT_OUTCOMES) expect(row("outcome")).toContain(`\`${outcome}\``);
  for (const reason of Object.keys(CUTS)) expect(row("code")).toContain(`\`${reason}\``);
});
