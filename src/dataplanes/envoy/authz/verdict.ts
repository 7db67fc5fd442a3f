import type { HeaderFields, RequestHead } from "../../../model/index.ts";
import { formFor, type Notice } from "../../pages.ts";
import { envoyNotice } from "../envoy-notice.ts";
import type { CheckResponse } from "../proto/tables/ext-authz.ts";
import type { HeaderValueOption } from "../proto/tables/core.ts";
import { withoutCookies } from "../../without-cookies.ts";
import type { Allowed } from "./decide.ts";
import { OWN_FIELD } from "./answer-script.ts";
import { CLUSTER_HEADER, DECIDED_HEADER } from "../resources/cluster-name.ts";
import { TOLD } from "./session-filter.ts";

/** Codes of google.rpc.Code. */
const OK = 0;
const PERMISSION_DENIED = 7;
/** A job that gets this from an Envoy alone: who asks came with a limited credential. */
export const SCOPED_FIELD = "x-tg-scoped";

/** Fields that an answer may have more than one of. */
const MANY: ReadonlySet<string> = new Set(["set-cookie", "vary", "www-authenticate"]);

/** A request passes: what is changed in it, and in its answer. `metadata` is for the filters that come after. */
export function passing(
  { route, decision, lead }: Allowed,
  head: RequestHead,
  metadata: Readonly<Record<string, string>>,
): CheckResponse {
  const { session, set, strip, stripCookies, respond } = decision;
  const cookies = withoutCookies(head.header("cookie") ?? "", stripCookies);
  const left: HeaderFields = stripCookies.length === 0 || cookies === null ? [] : [["cookie", cookies]];
  const gone = stripCookies.length > 0 && cookies === null ? ["cookie"] : [];
  const told = new Set(set.map(([name]) => name.toLowerCase()));
  const untold = Object.values(TOLD).filter((name) => !told.has(name));
  const scoped: HeaderFields = session?.principal.scope === undefined ? [] : [[SCOPED_FIELD, "1"]];
  const decided: HeaderFields = lead[0] === CLUSTER_HEADER ? [[DECIDED_HEADER, lead[1]]] : [];
  return {
    status: { code: OK },
    okResponse: {
      headers: [...set, ...left, ...scoped, lead, ...decided].map(option),
      headersToRemove: [...new Set([...strip, ...gone, ...untold])].filter((name) => !told.has(name)),
      responseHeadersToAdd: respond.map(option),
    },
    dynamicMetadata: { ...metadata, service: route.service },
  };
}

/** What the gate itself answers. */
export interface Answer {
  readonly status: number;
  readonly fields: HeaderFields;
  readonly body: string;
}

export function answering(
  { status, fields, body }: Answer,
  { code, secret }: { readonly code: string | null; readonly secret: string },
): CheckResponse {
  // prettier-ignore
  return {
    status: { code: PERMISSION_DENIED },
    deniedResponse: { status: { code: status }, headers: [...fields, [OWN_FIELD, secret] as const].map(option), body },
    ...(code !== null && { dynamicMetadata: { code } }),
  };
}

/** A notice in the form that was asked for. */
export function answerOf(notice: Notice, head: RequestHead, version: string): Answer {
  return { status: notice.status, ...envoyNotice(notice, formFor(head, version)) };
}

function option([name, value]: readonly [string, string]): HeaderValueOption {
  const key = name.toLowerCase();
  const appendAction = MANY.has(key) ? "APPEND_IF_EXISTS_OR_ADD" : "OVERWRITE_IF_EXISTS_OR_ADD";
  return { header: { key, value }, appendAction };
}
