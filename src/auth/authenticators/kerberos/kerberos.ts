import type { KerberosMethod } from "../../../config/kerberos-method.ts";
import { realmOf } from "../../../config/login-methods.ts";
import { GatewayError, type HeaderFields, type Principal, type RequestHead } from "../../../model/index.ts";
import type { Clock } from "../../../platform/clock.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { LoginLimit } from "../../login-limit.ts";
import type { Authenticator, HeaderLogin } from "../authenticator.ts";
import { type CredentialForm, recognisedBy, shownBy } from "../credential-forms.ts";
import { AcceptorProcess } from "./acceptor-process.ts";
import { principalName } from "./principal-name.ts";

/** What one ticket has opened does not stay open longer: tickets end, and nobody tells when. */
const OPEN_MS = 3_600_000;

/** RFC 4559 section 4.1: base64. */
const TICKET = /^negotiate +([A-Za-z0-9+/]+={0,2})$/i;

const CHALLENGE = "Negotiate";

export interface KerberosDeps {
  readonly config: KerberosMethod;
  readonly gateHost: string;
  /** Runs `runAcceptor`. */
  readonly acceptor: URL;
  readonly limit: Pick<LoginLimit, "count">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Kerberos tickets for the gate's own service principal, in `Authorization: Negotiate TICKET`. `checkKerberosInstalled`
 * says whether it can work here. Disposing it ends the process that judges tickets.
 */
export function startKerberos(deps: KerberosDeps): Kerberos {
  const { config, clock, gateHost } = deps;
  const { name, label = name, principal = `HTTP/${gateHost}`, keytab, patience: patienceMs, lifetime } = config;
  const logger = deps.logger.child({ component: "kerberos", method: name });
  const acceptor = new AcceptorProcess({ entry: deps.acceptor, keytab, patienceMs, clock, logger });
  const [, principalHost = ""] = principal.split("/");
  const forms: readonly CredentialForm[] = [{ form: "ticket", gateHost, principalHost }];
  const judging: Judging = { config, logger, acceptor, service: principal.replace("/", "@") };
  const judged = (ticket: string, { peer }: RequestHead, signal: AbortSignal) =>
    deps.limit.count({ method: name, peer }, () => judge(judging, ticket, signal));
  const interactive: HeaderLogin = {
    ...{ kind: "header", label, challenge: CHALLENGE },
    async verify(head, signal) {
      const ticket = shownTicket(forms, head);
      if (ticket === null) throw new GatewayError("unauthenticated", "the browser showed no Kerberos ticket");
      return { ...(await judged(ticket, head, signal)), lifetimeMs: lifetime };
    },
  };
  return {
    ...{ name, realm: realmOf(config), forms, keepMs: 0, challengeAtGate: CHALLENGE },
    recognises: (head) => recognisedBy(forms, head),
    async authenticate(head, signal) {
      const ticket = shownTicket(forms, head);
      if (ticket === null) return null;
      return { ...(await judged(ticket, head, signal)), expiresAt: clock.now() + OPEN_MS };
    },
    interactive,
    acceptorPid: () => acceptor.pid,
    [Symbol.asyncDispose]() {
      acceptor[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

export interface Kerberos extends Authenticator, AsyncDisposable {
  /** Of the process that judges tickets, while it runs. */
  acceptorPid(): number | undefined;
}

/** null: nothing of ours. Throws `unauthenticated` for what is ours and no ticket. */
function shownTicket(forms: readonly CredentialForm[], head: RequestHead): string | null {
  const field = shownBy(forms, head);
  if (field === undefined) return null;
  const ticket = TICKET.exec(field)?.[1];
  if (ticket !== undefined) return ticket;
  throw new GatewayError("unauthenticated", "expected Authorization: Negotiate TICKET");
}

interface Judging {
  readonly config: KerberosMethod;
  readonly logger: Logger;
  readonly acceptor: AcceptorProcess;
  readonly service: string;
}

/** Whose ticket it is, and the gate's own proof in return. Throws `unauthenticated`, `unavailable` and the signal's reason. */
async function judge(
  { acceptor, service, config, logger }: Judging,
  ticket: string,
  signal: AbortSignal,
): Promise<{ readonly principal: Principal; readonly respond: HeaderFields }> {
  const verdict = await acceptor.accept(service, ticket, signal);
  if (verdict.kind === "unusable") {
    logger.warn({ reason: verdict.reason }, "Kerberos tickets cannot be judged");
    throw new GatewayError("unavailable", "Kerberos tickets cannot be judged here now");
  }
  if (verdict.kind === "refused") throw new GatewayError("unauthenticated", verdict.reason);
  const { client, answer } = verdict;
  const principal = { realm: realmOf(config), name: principalName(client, config), groups: [], admin: false };
  return { principal, respond: answer === null ? [] : [["www-authenticate", `${CHALLENGE} ${answer}`]] };
}
