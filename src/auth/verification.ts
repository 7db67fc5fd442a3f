import type { Route, Session, Site } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { CredentialForm } from "./authenticators/credential-forms.ts";
import { userField } from "./assertions.ts";
import { OWN_AUTHORIZATION } from "./authenticators/token-fields.ts";
import { hostCookieName } from "./cookies.ts";
import { type Frame, frameOf } from "./cross-origin.ts";
import type { Revocations } from "./revocations.ts";
import { readClaims } from "./session-claims.ts";
import { type SessionReaderDeps, sessionFrom } from "./session-reader.ts";

/** So many ids and users a data plane is told of. */
const MAX_TOLD = 500;

/** What is void although its signature is good. */
export interface Revoked {
  /** Of sessions, and of the logins that they came from. */
  readonly ids: readonly string[];
  /** Whatever they were given until then (`at`, epoch ms), by what jobs are told of who they are. */
  readonly users: readonly { readonly told: string; readonly at: number }[];
  /** Epoch ms: more was revoked than is told, so the gate is asked about all that was issued until then. 0: nothing was left out. */
  readonly before: number;
}

/** What a data plane that verifies sessions by itself goes by, beside the keys of its table. */
export interface Verification {
  /** Name of the session cookie of services that have a host of their own. */
  readonly cookie: string;
  /** Names of fields that may hold credentials, whatever they hold, in lower case. */
  readonly credentialFields: readonly string[];
  /** `Authorization` may hold a credential other than a token of this gate. */
  readonly foreignAuthorization: boolean;
  /** The session that verified claims stand for; null: they are none, or nobody's any more. */
  sessionOf(claims: unknown): Session | null;
  /** Who may show the pages of a route's service in a frame. */
  frameOf(route: Route): Frame | undefined;
  /** What was void when something last was made void. */
  revoked(): Revoked;
  /** Called after every revocation, which waits for what is returned. */
  observe(listener: () => Promise<void> | void): Disposable;
}

export interface VerificationDeps extends Pick<SessionReaderDeps, "current" | "lifetimeMs" | "renewMs"> {
  readonly site: Site;
  readonly clock: Clock;
  readonly forms: readonly CredentialForm[];
  readonly revocations: Pick<Revocations, "ids" | "users" | "observe" | "observeUsers">;
}

/** Listens to revocations until it is disposed. */
export function createVerification(deps: VerificationDeps): Verification & Disposable {
  const { clock, forms, revocations, site } = deps;
  const startedAt = clock.now();
  /** When each id was heard of; those from before the start are not in it. */
  const heard = new Map<string, number>();
  let told: Revoked | null = null;
  const listening = new DisposableStack();
  listening.use(revocations.observeUsers(() => void (told = null)));
  listening.use(
    revocations.observe((id) => {
      heard.set(id, clock.now());
      told = null;
    }),
  );

  function collect(): Revoked {
    const ids = [...revocations.ids()];
    const users = [...revocations.users()].sort((a, b) => a.at - b.at);
    const known = new Set(ids);
    for (const id of heard.keys()) if (!known.has(id)) heard.delete(id);
    const beyond = ids.at(-MAX_TOLD - 1);
    const sinceIds = beyond === undefined ? 0 : (heard.get(beyond) ?? startedAt);
    return {
      ids: ids.slice(-MAX_TOLD),
      users: users.slice(-MAX_TOLD).map((user) => ({ told: userField(user), at: user.at })),
      before: Math.max(sinceIds, users.at(-MAX_TOLD - 1)?.at ?? 0),
    };
  }

  return {
    cookie: hostCookieName(site, "session"),
    credentialFields: fieldsOf(forms),
    foreignAuthorization: forms.some(({ form }) => form !== "token" && form !== "proxy"),
    sessionOf(value) {
      const claims = readClaims(value);
      return claims && sessionFrom(claims, deps);
    },
    frameOf: (route) => frameOf(site, route),
    revoked: () => (told ??= collect()),
    observe(listener) {
      const observing = new DisposableStack();
      observing.use(revocations.observe(listener));
      observing.use(revocations.observeUsers(listener));
      return observing;
    },
    [Symbol.dispose]: () => listening.dispose(),
  };
}

/** But for `Authorization`, which may be an app's. */
function fieldsOf(forms: readonly CredentialForm[]): readonly string[] {
  const proxies = forms.flatMap((form) => (form.form === "proxy" ? [form.user, ...form.others] : []));
  return [...new Set([OWN_AUTHORIZATION, ...proxies])];
}
