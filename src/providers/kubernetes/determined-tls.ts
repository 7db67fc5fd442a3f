import { createPrivateKey, X509Certificate } from "node:crypto";
import type { DeterminedTls } from "../../config/provider-config.ts";
import type { Policy, Service, SourceUpdate, Task } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import { startWatchedValue } from "../../platform/watched-value.ts";
import type { Provider } from "../provider.ts";
import { isNotebook } from "./kinds/determined.ts";

type UpstreamTls = NonNullable<Policy["upstreamTls"]>;

export interface DeterminedTlsDeps {
  readonly files: DeterminedTls;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * The provider, whose notebooks of Determined have to show a certificate by the master's authority, for whatever name, and are shown ours.
 * A file that changes counts from then on; one that cannot be used, or a certificate without its key, does not. Starting throws
 * `bad_request` where a file cannot be used at first.
 */
export function withDeterminedTls(inner: Provider, deps: DeterminedTlsDeps): Provider {
  return {
    ...inner,
    start: async (publish, signal) => {
      await using scope = new AsyncDisposableStack();
      const source = new NotebookSource(publish);
      scope.use(await watchFiles(deps, (tls) => source.useTls(tls)));
      scope.use(await inner.start((update) => source.take(update), signal));
      return scope.move();
    },
  };
}

class NotebookSource {
  readonly #publish: (update: SourceUpdate) => void;
  /** As the inner provider has them, by id. */
  readonly #notebooks = new Map<string, Task>();
  #problems: Extract<SourceUpdate, { kind: "change" }>["problems"] = [];
  #tls: UpstreamTls | null = null;

  constructor(publish: (update: SourceUpdate) => void) {
    this.#publish = publish;
  }

  take(update: SourceUpdate): void {
    if (update.kind !== "stale") {
      this.#problems = update.problems;
      if (update.kind === "whole") this.#notebooks.clear();
      else for (const id of update.removed) this.#notebooks.delete(id);
    }
    if (update.kind === "whole") this.#publish({ ...update, tasks: update.tasks.map((task) => this.#note(task)) });
    else if (update.kind === "change") this.#publish({ ...update, set: update.set.map((task) => this.#note(task)) });
    else this.#publish(update);
  }

  useTls(tls: UpstreamTls): void {
    this.#tls = tls;
    if (this.#notebooks.size === 0) return;
    const set = [...this.#notebooks.values()].map((task) => this.#withTls(task));
    this.#publish({ kind: "change", set, removed: [], problems: this.#problems });
  }

  #note(task: Task): Task {
    if (!isNotebook(task) || !task.services.some(isUnverified)) {
      this.#notebooks.delete(task.id);
      return task;
    }
    this.#notebooks.set(task.id, task);
    return this.#withTls(task);
  }

  #withTls(task: Task): Task {
    const upstreamTls = this.#tls;
    if (upstreamTls === null) return task;
    const services = task.services.map((service) =>
      isUnverified(service) ? { ...service, policy: { ...service.policy, upstreamTls } } : service,
    );
    return { ...task, services };
  }
}

/** As the kind has it: what an annotation says otherwise counts before the master's authority. */
function isUnverified({ policy }: Service): boolean {
  return policy.upstreamTls?.verify === "none";
}

/** Calls `use` once before it resolves, then whenever the files come to something else that can be used. */
async function watchFiles(
  { files, clock, logger }: DeterminedTlsDeps,
  use: (tls: UpstreamTls) => void,
): Promise<AsyncDisposable> {
  await using scope = new AsyncDisposableStack();
  const texts = { authority: "", certificate: "", key: "" };
  let isWhole = false;
  const take = (name: keyof typeof texts) => (text: string) => {
    texts[name] = text;
    // A certificate and its key are two files, and so are written one after the other.
    if (isWhole && belongTogether(texts)) use(tlsOf(texts));
  };
  for (const name of ["authority", "certificate", "key"] as const) {
    const path = files[name];
    if (path === undefined) continue;
    const parse = name === "key" ? parseKey : parseCertificate;
    scope.use(await startWatchedValue({ path, parse, take: take(name), clock, logger }));
  }
  isWhole = true;
  if (!belongTogether(texts))
    logger.error("determinedTls: the certificate is not of that key; none is shown until it is");
  use(belongTogether(texts) ? tlsOf(texts) : tlsOf({ ...texts, certificate: "", key: "" }));
  return scope.move();
}

function tlsOf({
  authority,
  certificate,
  key,
}: Readonly<Record<"authority" | "certificate" | "key", string>>): UpstreamTls {
  // No name is looked for: the master writes none into the certificates that it makes.
  const tls = { verify: "authority", authority } as const;
  return certificate === "" ? tls : { ...tls, identity: `${certificate.trimEnd()}\n${key}` };
}

function belongTogether({ certificate, key }: { readonly certificate: string; readonly key: string }): boolean {
  return certificate === "" || new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
}

function parseCertificate(text: string): { readonly value: string } | string {
  return fails(() => new X509Certificate(text)) ? "holds no certificate; expected one in PEM" : { value: text };
}

function parseKey(text: string): { readonly value: string } | string {
  const isNone = fails(() => createPrivateKey(text));
  return isNone ? "holds no private key; expected one in PEM, without a passphrase" : { value: text };
}

function fails(make: () => unknown): boolean {
  try {
    make();
    return false;
  } catch {
    return true;
  }
}
