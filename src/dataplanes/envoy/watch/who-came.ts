import type { Route, Session } from "../../../model/index.ts";
import { CLAIMS } from "../authz/cel.ts";
import { FILTER } from "../authz/names.ts";
import { decode } from "../proto/kit.ts";
import { LogMetadata } from "./entry-messages.ts";
import { SESSION_POLICIES, TAGS } from "./loggers.ts";

/** What the gate decided about one request when Envoy asked. */
export interface Decided {
  readonly route: Route;
  /** null: nobody said who they are. */
  readonly session: Session | null;
}

export interface WhoCameDeps {
  /** By the id that the answer to Envoy had; undefined: that was long ago, or another gate's. */
  readonly decided: (use: string) => Decided | undefined;
  /** What a route of this id leads to by now: of what another gate decided, it is all that is known. */
  readonly routeOfId: (id: string) => Route | undefined;
  /** The session that claims say which Envoy has verified; null: they are none, or of nobody who is there any more. */
  readonly sessionOf: (claims: unknown) => Session | null;
}

/** What an entry or a held request says of who came: tags as `TAGS` names them, and all metadata for the first time. */
export interface Shown {
  readonly tags: Readonly<Record<string, string>>;
  /** What the filter that verifies sessions has put down. */
  claims(): unknown;
}

const MOST_SESSIONS = 10_000;

/** Knows again who came: by what the gate decided, else by the session that Envoy verified. There is nothing to close. */
export class WhoCame {
  readonly #deps: WhoCameDeps;
  readonly #sessions = new Map<string, Session>();

  constructor(deps: WhoCameDeps) {
    this.#deps = deps;
  }

  /** null: nobody, or nobody knows. */
  session({ tags, claims }: Shown): Session | null {
    const use = tags[TAGS.use];
    if (use !== undefined) return this.#deps.decided(use)?.session ?? null;
    const again = tags[TAGS.known];
    if (again !== undefined) return this.#session(again, () => claimsOf(again));
    // A cookie of elsewhere may verify, too: what counts is that Envoy let the request pass by it.
    if (!SESSION_POLICIES.test(tags[TAGS.policy] ?? "")) return null;
    return this.#session(`${tags[TAGS.session] ?? ""} ${tags[TAGS.issued] ?? ""}`, claims);
  }

  #session(key: string, claims: () => unknown): Session | null {
    const known = this.#sessions.get(key);
    if (known !== undefined) return known;
    const session = this.#deps.sessionOf(claims());
    if (session === null) return null;
    if (this.#sessions.size >= MOST_SESSIONS) this.#sessions.clear();
    this.#sessions.set(key, session);
    return session;
  }

  /** The route that was decided about, where the gate was asked. */
  route({ tags }: Pick<Shown, "tags">): Route | undefined {
    const { [TAGS.use]: use, [TAGS.route]: id } = tags;
    if (use === undefined) return undefined;
    return this.#deps.decided(use)?.route ?? (id === undefined ? undefined : this.#deps.routeOfId(id));
  }
}

/** Of a token that was verified. */
function claimsOf(payload: string): unknown {
  try {
    return JSON.parse(Buffer.from(payload, "base64url").toString());
  } catch {
    return null;
  }
}

/** The claims in core.v3.Metadata. */
export function claimsIn(metadata: Uint8Array | null): unknown {
  if (metadata === null) return null;
  const { filterMetadata = {} } = decode(LogMetadata, metadata);
  return filterMetadata[FILTER.session]?.[CLAIMS] ?? null;
}
