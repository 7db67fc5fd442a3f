import type { ListenConfig } from "../config/schema.ts";
import { type CertificateFile, startCertificateFiles } from "../dataplanes/embedded/tls/certificate-file.ts";
import type { LocalAuthority, Pem } from "../dataplanes/embedded/tls/local-authority.ts";
import type { CertificateSource } from "../dataplanes/envoy/plane.ts";
import type { Certificate, Changed, Problem, Route } from "../model/index.ts";
import type { Clock } from "../platform/clock.ts";
import type { Logger } from "../platform/logger.ts";

export interface EnvoyCertificatesDeps {
  readonly tls: ListenConfig["tls"];
  /** For names that no file has; null: there is none. */
  readonly authority: LocalAuthority | null;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How often files are looked at. */
const LOOK_MS = 1000;
const DAY_MS = 86_400_000;
const LIFE_MS = 30 * DAY_MS;
/** Hosts that come at once are in one certificate. */
const SETTLE_MS = 20;
/** In one certificate, which every visitor gets whole. */
const NAMES_MAX = 500;

/**
 * What Envoys show to whom, kept current. Of files as they are; of the gate's own authority one certificate for all hosts that there are:
 * Envoys ask for no certificate by name, and no program takes a wildcard right below a top-level domain such as `localhost`.
 */
export class EnvoyCertificates implements CertificateSource, Disposable {
  readonly #deps: EnvoyCertificatesDeps;
  readonly #files: readonly CertificateFile[];
  readonly #listeners: (() => void)[] = [];
  /** By route. */
  readonly #hosts = new Map<string, string>();
  #issued: { readonly names: readonly string[]; readonly pem: Pem; readonly renewAt: number } | null = null;
  #looking: Disposable | null = null;
  #issuing: Disposable | null = null;
  #closed = false;

  /** Files have been read. */
  constructor(deps: EnvoyCertificatesDeps, files: readonly CertificateFile[]) {
    this.#deps = deps;
    this.#files = files;
  }

  async start(): Promise<void> {
    await this.#issue();
    this.#look();
  }

  get certificates(): readonly Certificate[] {
    const issued = this.#issued === null ? [] : [certificateOf(this.#issued.names, this.#issued.pem)];
    return [...this.#files.map(({ names, pem }) => certificateOf(names, pem)), ...issued];
  }

  get problems(): readonly Problem[] {
    return this.#files.flatMap((file) => file.problems(this.#deps.clock.now()));
  }

  onChange(call: () => void): void {
    this.#listeners.push(call);
  }

  follow(routes: Changed<Route>): void {
    if (this.#deps.authority === null) return;
    for (const id of routes.removed) this.#hosts.delete(id);
    for (const { id, match } of routes.set)
      if (match.by === "host" || match.by === "path") this.#hosts.set(id, match.host);
    const names = new Set(this.#issued?.names);
    if (this.#names().every((name) => names.has(name))) return;
    this.#issuing ??= this.#deps.clock.after(SETTLE_MS, () => {
      this.#issuing = null;
      void this.#issue().then(
        () => this.#changed(),
        (err: unknown) => this.#deps.logger.error({ err }, "issuing a certificate failed"),
      );
    });
  }

  /** File by which who knows no authority knows the one that `host` shows. */
  trustFile(host: string): string | undefined {
    const file = this.#files.find(({ names }) => names.includes(host) || names.includes(wildcardOf(host)));
    return (file ?? (this.#deps.authority === null ? this.#files[0] : undefined))?.path ?? this.#deps.authority?.file;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#looking?.[Symbol.dispose]();
    this.#issuing?.[Symbol.dispose]();
  }

  #names(): readonly string[] {
    const { authority } = this.#deps;
    if (authority === null) return [];
    const names = new Set(authority.standard);
    for (const host of this.#hosts.values()) {
      if (names.size >= NAMES_MAX) break;
      if (authority.covers(host)) names.add(host);
    }
    return [...names];
  }

  async #issue(): Promise<void> {
    const { authority, clock } = this.#deps;
    if (authority === null) return;
    const now = clock.now();
    const names = this.#names();
    const pem = await authority.issue(names, { notBefore: now - DAY_MS, notAfter: now + LIFE_MS });
    this.#issued = { names, pem, renewAt: now + (LIFE_MS * 2) / 3 };
  }

  /** Name of the loop: looking after certificates. Ends when disposed of. */
  #look(): void {
    this.#looking = this.#deps.clock.after(LOOK_MS, () => {
      void this.#lookOnce().finally(() => {
        if (!this.#closed) this.#look();
      });
    });
  }

  async #lookOnce(): Promise<void> {
    const { clock, logger } = this.#deps;
    const now = clock.now();
    const changes = await Promise.all(this.#files.map((file) => file.look(now)));
    const isDue = this.#issued !== null && this.#issued.renewAt <= now;
    if (isDue) await this.#issue().catch((err: unknown) => logger.error({ err }, "issuing a certificate failed"));
    if (isDue || changes.some((change) => change !== null)) this.#changed();
  }

  #changed(): void {
    if (!this.#closed) for (const call of this.#listeners) call();
  }
}

/** Reads all files. null: visitors speak without TLS. Throws GatewayError `bad_request` for one that cannot be used. */
export async function startEnvoyCertificates(deps: EnvoyCertificatesDeps): Promise<EnvoyCertificates | null> {
  const { tls } = deps;
  if (tls === undefined) return null;
  const started = new EnvoyCertificates(deps, await startCertificateFiles(tls, deps.logger));
  await started.start();
  return started;
}

function certificateOf(names: readonly string[], { cert, key }: Pem): Certificate {
  return { names, chain: cert, key };
}

function wildcardOf(host: string): string {
  return `*.${host.slice(host.indexOf(".") + 1)}`;
}
