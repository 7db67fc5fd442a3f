import type { Principal } from "../model/index.ts";
import type { Logger } from "../platform/logger.ts";
import type { Authenticator, Ended } from "./authenticators/authenticator.ts";
import type { Credentials } from "./credentials.ts";
import type { Logins } from "./logins.ts";
import type { Revocations } from "./revocations.ts";

export interface WatchEndedDeps {
  readonly authenticators: readonly Authenticator[];
  readonly credentials: Pick<Credentials, "forget">;
  readonly logins: Pick<Logins, "ended">;
  readonly revocations: Pick<Revocations, "revoke" | "revokeUser">;
  readonly logger: Logger;
}

/** Ends what came of credentials that count no more, as soon as their authenticator says so, until it is disposed. */
export function watchEnded(deps: WatchEndedDeps): Disposable {
  const watching = new DisposableStack();
  for (const authenticator of deps.authenticators) {
    const observing = authenticator.observe?.((ended) => {
      deps.credentials.forget();
      end(deps, authenticator, ended).catch((err: unknown) => {
        // Open connections were cut before anything could fail; logins are looked at again when they are used.
        deps.logger.error(
          { err, method: authenticator.name },
          "logins of a credential that counts no more are not all ended",
        );
      });
    });
    if (observing !== undefined) watching.use(observing);
  }
  return watching;
}

async function end(
  { logins, revocations }: WatchEndedDeps,
  { name: method, realm }: Authenticator,
  { id, subject }: Ended,
): Promise<void> {
  const ending = [revocations.revoke(id), logins.ended(method, subject === null ? null : { subject })];
  await Promise.all(subject === null ? ending : [...ending, revocations.revokeUser({ realm, name: subject })]);
}

/** Who somebody is today, where the one authenticator of their realm knows that by itself; null: nobody any more. */
export function createToday(authenticators: readonly Authenticator[]): (principal: Principal) => Principal | null {
  return (principal) => {
    const [only, another] = authenticators.filter(({ realm }) => realm === principal.realm);
    return another === undefined && only?.current !== undefined ? only.current(principal) : principal;
  };
}
