import type { RequestHead } from "../../model/index.ts";
import { hostnameOf } from "../place.ts";
import { OWN_AUTHORIZATION } from "./token-fields.ts";

/** `Negotiate` (RFC 4559) with a Kerberos ticket for the gate. */
export interface TicketForm {
  readonly form: "ticket";
  readonly gateHost: string;
  /** The host of the gate's service principal. */
  readonly principalHost: string;
}

/**
 * Whether the field `name` holds one: all of them in the gate's own field and on the gate's own host; elsewhere those that are for the
 * gate's service principal, for apps have Kerberos of their own. A client that takes an app's host for another name of the gate's (an
 * alias in DNS) sends such a ticket there unasked, and whoever sees it could be that client towards the gate.
 */
export function holdsTicket({ gateHost, principalHost }: TicketForm, name: string, head: RequestHead): boolean {
  const field = head.header(name) ?? "";
  const shown = [...field.matchAll(NEGOTIATE)];
  if (shown.length === 0) return false;
  if (name === OWN_AUTHORIZATION || hostnameOf(head.host) === gateHost) return true;
  return shown.some(([, ticket = ""]) => isFor(principalHost, ticket));
}

/** Repeated fields arrive joined, and a job must see none of them. */
const NEGOTIATE = /(?:^|,)\s*negotiate(?:\s+([A-Za-z0-9+/]*)|$)/gi;

const GENERAL_STRING = 0x1b;

/** The name of the service stands in a ticket in the clear (RFC 4120 section 5.3), as a string with its length before it. */
function isFor(host: string, ticket: string): boolean {
  const bytes = Buffer.from(ticket, "base64").toString("latin1").toLowerCase();
  return bytes.includes(String.fromCharCode(GENERAL_STRING, host.length) + host.toLowerCase());
}
