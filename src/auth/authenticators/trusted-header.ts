import { hash, timingSafeEqual } from "node:crypto";
import { realmOf } from "../../config/login-methods.ts";
import type { TrustedHeaderMethod } from "../../config/trusted-header-method.ts";
import { GatewayError, type Principal, type RequestHead } from "../../model/index.ts";
import type { Clock } from "../../platform/clock.ts";
import { clientKey } from "../../platform/client-key.ts";
import type { Logger } from "../../platform/logger.ts";
import { startWatchedValue } from "../../platform/watched-value.ts";
import { Lru } from "../lru.ts";
import type { Authenticator } from "./authenticator.ts";
import { type CredentialForm, recognisedBy } from "./credential-forms.ts";

/** Of one request: nobody tells the gate when somebody logs out at the proxy, so what it opened is closed then. */
const GOOD_MS = 3_600_000;
const SAY_AGAIN_MS = 60_000;
const MAX_KEPT = 1000;
const MAX_GROUPS = 1000;

export interface TrustedHeaderDeps {
  readonly method: TrustedHeaderMethod;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * What a proxy before the gate says in headers. Only where it comes from one of the proxies' addresses: from anybody else it is ignored,
 * and said once a minute in the log. Throws `bad_request` where the secret's file is broken. Disposing it stops watching that file.
 */
export async function startTrustedHeader(deps: TrustedHeaderDeps): Promise<Authenticator & AsyncDisposable> {
  const { method, clock } = deps;
  const realm = realmOf(method);
  const others = [method.groups, method.secret?.header].filter((name) => name !== undefined);
  const forms: readonly CredentialForm[] = [{ form: "proxy", user: method.user, others, from: method.from }];
  const secret = await startSecret(deps);
  const strangers = createStrangers(deps);

  function principalIn(head: RequestHead): Principal {
    if (!secret.isIn(head)) {
      throw new GatewayError("unauthenticated", "the proxy did not show its secret, or not the right one");
    }
    return { realm, name: nameIn(head, method.user), groups: groupsIn(head, method.groups, realm), admin: false };
  }

  return {
    name: method.name,
    realm,
    forms,
    recognises(head) {
      const names = recognisedBy(forms, head);
      if (names.length === 0 && head.header(method.user) !== undefined) strangers.met(head.front ?? head.peer);
      return names;
    },
    async authenticate(head) {
      if (recognisedBy(forms, head).length === 0) return null;
      const principal = await Promise.resolve(head).then(principalIn);
      const id = `proxy-${hash("sha256", JSON.stringify([realm, principal.name])).slice(0, 24)}`;
      return { principal, id, expiresAt: clock.now() + GOOD_MS };
    },
    interactive: {
      kind: "header",
      label: method.label ?? method.name,
      async verify(head) {
        if (recognisedBy(forms, head).length === 0) {
          throw new GatewayError("unauthenticated", "this did not come by way of the proxy that logs people in");
        }
        return { principal: await Promise.resolve(head).then(principalIn), lifetimeMs: method.lifetime };
      },
    },
    [Symbol.asyncDispose]: () => secret[Symbol.asyncDispose](),
  };
}

/** A field that came twice is joined by a comma: then somebody else wrote one of them. */
const NAME = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp},]{1,256}$/u;

function nameIn(head: RequestHead, field: string): string {
  const name = decode(head.header(field) ?? "");
  if (name !== null && NAME.test(name)) return name;
  throw new GatewayError("unauthenticated", `${field}: expected one user's name, in UTF-8`);
}

function groupsIn(head: RequestHead, field: string | undefined, realm: string): Principal["groups"] {
  const text = field === undefined ? "" : decode(head.header(field) ?? "");
  const names = text
    ?.split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (names === undefined || names.length > MAX_GROUPS || !names.every((name) => NAME.test(name))) {
    throw new GatewayError(
      "unauthenticated",
      `${field ?? ""}: expected names of groups, in UTF-8, with commas between`,
    );
  }
  return [...new Set(names)].map((name) => ({ realm, name }));
}

/** Planes read each byte of a field as one character. */
function decode(field: string): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(field, "latin1")).trim();
  } catch {
    return null;
  }
}

interface ProxySecret extends AsyncDisposable {
  isIn(head: RequestHead): boolean;
}

async function startSecret({ method, clock, logger }: TrustedHeaderDeps): Promise<ProxySecret> {
  const { secret } = method;
  if (secret === undefined) return { isIn: () => true, [Symbol.asyncDispose]: () => Promise.resolve() };
  let digest: Buffer = Buffer.alloc(0);
  const take = (value: string): void => {
    digest = digestOf(value);
  };
  const file = await startWatchedValue({ path: secret.file, parse: parseSecret, take, clock, logger });
  return {
    isIn: (head) => timingSafeEqual(digest, digestOf(head.header(secret.header) ?? "")),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

function digestOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

function parseSecret(text: string): { readonly value: string } | string {
  const value = text.replace(/\r?\n$/, "");
  return /^[\x21-\x7e]{16,1024}$/.test(value) ? { value } : "expected one line of 16 to 1024 visible ASCII characters";
}

/** Says of each address once a minute that what it sends is ignored. */
function createStrangers({ method, clock, logger }: TrustedHeaderDeps): { met(peer: string): void } {
  const said = new Lru<number>(MAX_KEPT);
  return {
    met(peer) {
      const now = clock.now();
      const before = said.get(clientKey(peer));
      if (before !== undefined && now - before < SAY_AGAIN_MS) return;
      said.set(clientKey(peer), now);
      logger.warn({ peer, header: method.user, method: method.name }, "identity header ignored: it is not the proxy's");
    },
  };
}
