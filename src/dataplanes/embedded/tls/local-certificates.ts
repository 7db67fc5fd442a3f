import type { SecureContext } from "node:tls";
import type { Clock } from "../../../platform/clock.ts";
import type { LocalAuthority, Pem } from "./local-authority.ts";
import { serverContext } from "./secure-context.ts";

interface Issued {
  readonly pem: Promise<Pem>;
  context: Promise<SecureContext> | null;
  /** Epoch ms from which on another one is issued. */
  readonly renewAt: number;
}

/** Names that certificates are kept for at once; whoever asks for more names pays with slower handshakes alone. */
const KEPT_MAX = 1000;
const DAY_MS = 86_400_000;
/** A short life costs nothing where they are made on demand. */
const LIFE_MS = 30 * DAY_MS;

/** Certificates by the local authority: made when somebody first asks for a name, made anew before they end. */
export class LocalCertificates {
  readonly #authority: LocalAuthority;
  readonly #clock: Clock;
  /** By name; the one used longest ago first. */
  readonly #issued = new Map<string, Issued>();

  constructor(authority: LocalAuthority, clock: Clock) {
    this.#authority = authority;
    this.#clock = clock;
  }

  covers(name: string): boolean {
    return this.#authority.covers(name);
  }

  /** For who names no server: the gate's own names and addresses. The same object until it is renewed. */
  standard(): Promise<Pem> {
    return this.#get("", this.#authority.standard).pem;
  }

  /** undefined: the authority vouches for no such name. */
  pick(name: string): Promise<SecureContext> | undefined {
    if (!this.covers(name)) return undefined;
    const issued = this.#get(name, [name]);
    return (issued.context ??= issued.pem.then(serverContext));
  }

  #get(key: string, names: readonly string[]): Issued {
    const now = this.#clock.now();
    const kept = this.#issued.get(key);
    const current = kept !== undefined && kept.renewAt > now ? kept : this.#issue(key, names);
    this.#issued.delete(key);
    this.#issued.set(key, current);
    const [oldest] = this.#issued.keys();
    if (this.#issued.size > KEPT_MAX && oldest !== undefined) this.#issued.delete(oldest);
    return current;
  }

  #issue(key: string, names: readonly string[]): Issued {
    const now = this.#clock.now();
    const pem = this.#authority.issue(names, { notBefore: now - DAY_MS, notAfter: now + LIFE_MS });
    pem.catch(() => this.#issued.delete(key)); // the next one who asks tries again
    return { pem, context: null, renewAt: now + (LIFE_MS * 2) / 3 };
  }
}
