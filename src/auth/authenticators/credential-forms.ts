import { fieldKey, type RequestHead } from "../../model/index.ts";
import { createNetworkCheck } from "../../platform/network-check.ts";
import { holdsTicket, type TicketForm } from "./ticket-form.ts";
import { OWN_AUTHORIZATION, tokenFields } from "./token-fields.ts";

/**
 * How credentials of one kind look in a request. Plain data, told from the text alone and without any secret, so that worker processes,
 * which ask nobody, recognise what the gate recognises.
 */
export type CredentialForm =
  /** Tokens of a gate. */
  | { readonly form: "token" }
  /** `Bearer` with a JWT whose issuer (`iss`) is this one, good or not. */
  | { readonly form: "jwt"; readonly issuer: string }
  /** Any of these schemes, in lower case. */
  | { readonly form: "scheme"; readonly schemes: readonly string[] }
  /** Any of these schemes, in lower case, with what looks like a token of a JupyterHub: 32 hexadecimal digits. */
  | { readonly form: "hubToken"; readonly schemes: readonly string[] }
  /** What a proxy at one of the addresses `from` says in fields of these names, in lower case; nothing without `user`. */
  | {
      readonly form: "proxy";
      readonly user: string;
      readonly others: readonly string[];
      readonly from: readonly string[];
    }
  | TicketForm;

/** Where programs show who they are: the gate's own field, and the one that an app may want for itself. */
const FIELDS = [OWN_AUTHORIZATION, "authorization"] as const;

/** Names of the fields of a request that hold credentials of one of these forms. */
export function recognisedBy(forms: readonly CredentialForm[], head: RequestHead): readonly string[] {
  return forms.flatMap((form) => {
    if (form.form === "token") return tokenFields(head);
    if (form.form === "proxy") return isFromProxy(form, head) ? present([form.user, ...form.others], head) : [];
    if (form.form === "ticket") return FIELDS.filter((name) => holdsTicket(form, name, head));
    return FIELDS.filter((name) => isOf(form, head.header(name)));
  });
}

/** Whether a request holds credentials that are good for that request alone, so that no answer to it says anything of another one. */
export function isForOnce(forms: readonly CredentialForm[], head: RequestHead): boolean {
  const once = forms.filter(({ form }) => form === "ticket");
  return recognisedBy(once, head).length > 0;
}

/** Names of the fields of a request that nobody's word but a proxy's counts in, whoever sent them: no job ever sees them. */
export function reservedBy(forms: readonly CredentialForm[], head: RequestHead): readonly string[] {
  const reserved = forms.flatMap((form) => (form.form === "proxy" ? [form.user, ...form.others] : []));
  if (reserved.length === 0) return reserved;
  return head.names === undefined
    ? present(reserved, head)
    : [...head.names()].filter((name) => reserved.includes(fieldKey(name)));
}

/**
 * Whether what was shown is of a kind that browsers, or a proxy on their way, send by themselves: a page of another site may be behind the
 * request. Tokens are not: whoever sends one means it.
 */
export function isAmbient(forms: readonly CredentialForm[], head: RequestHead): boolean {
  const ambient = forms.filter(({ form }) => form === "proxy" || form === "ticket" || form === "scheme");
  return recognisedBy(ambient, head).length > 0;
}

/** What one of the two fields says, the gate's own first. undefined: neither is there. */
export function shownAuthorization(head: RequestHead): string | undefined {
  return head.header(OWN_AUTHORIZATION) ?? head.header("authorization");
}

/** The same where the request holds credentials of one of these forms. undefined: it holds none. */
export function shownBy(forms: readonly CredentialForm[], head: RequestHead): string | undefined {
  return recognisedBy(forms, head).length === 0 ? undefined : shownAuthorization(head);
}

/** The fields that say who speaks: where the gate's own field is there, it alone does, and all others are the app's. */
export function speakingHead(head: RequestHead): RequestHead {
  const own = head.header(OWN_AUTHORIZATION);
  if (own === undefined) return head;
  const { method, host, path, peer, front, secure } = head;
  return { method, host, path, peer, front, secure, header: (name) => (name === OWN_AUTHORIZATION ? own : undefined) };
}

type ProxyForm = Extract<CredentialForm, { readonly form: "proxy" }>;

/** The real address of who connected, or what a balancer says of it that `listen.proxyProtocol` trusts; never what a field says, be it a front's. */
function isFromProxy(form: ProxyForm, head: RequestHead): boolean {
  if (head.header(form.user) === undefined) return false;
  const known = checks.get(form.from) ?? createNetworkCheck(form.from);
  checks.set(form.from, known);
  return known(head.front ?? head.peer);
}

/** Made once for each list. */
const checks = new WeakMap<readonly string[], (ip: string) => boolean>();

function present(names: readonly string[], head: RequestHead): readonly string[] {
  return names.filter((name) => head.header(name) !== undefined);
}

function isOf(
  form: Extract<CredentialForm, { readonly form: "jwt" | "scheme" | "hubToken" }>,
  field: string | undefined,
): boolean {
  if (field === undefined) return false;
  // Repeated fields arrive joined, and a job must see none of them.
  if (form.form === "hubToken") {
    return [...field.matchAll(HUB_TOKEN)].some(([, scheme = ""]) => form.schemes.includes(scheme.toLowerCase()));
  }
  if (form.form === "scheme") return SCHEMES(field).some((scheme) => form.schemes.includes(scheme));
  return [...field.matchAll(JWT)].some(([, payload = ""]) => issuerOf(payload) === form.issuer);
}

/** Every word that could be a scheme: at the beginning, and behind each comma. */
const SCHEMES = (field: string): string[] =>
  [...field.matchAll(/(?:^|,)\s*([a-z0-9-]+)(?=\s|$)/gi)].map(([, scheme = ""]) => scheme.toLowerCase());

/** `Bearer HEADER.PAYLOAD.`, wherever it stands; whoever sends it may leave the signature out. */
const JWT = /(?:^|[\s,])bearer\s+[\w-]*\.([\w-]{1,16384})(?=\.)/gi;

/** A scheme with 32 hexadecimal digits, wherever they stand: all tokens that a JupyterHub makes are so. */
const HUB_TOKEN = /(?:^|[\s,])([a-z]+)\s+[0-9a-f]{32}(?![0-9a-z])/gi;

/** The issuer that a payload names, unverified; null: none. */
function issuerOf(payload: string): string | null {
  try {
    const claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as { readonly iss?: unknown } | null;
    return typeof claims?.iss === "string" ? claims.iss : null;
  } catch {
    return null;
  }
}
