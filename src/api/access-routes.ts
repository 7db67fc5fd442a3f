import type { Context } from "hono";
import { mayUse } from "../auth/access.ts";
import { recipientText, type GrantedTask, type GrantRequest as Wanted, type Recipient } from "../auth/granted.ts";
import { anyoneRefusal, grantRefusal, lifetimeRefusal, type Ceiling } from "../core/access-ceiling.ts";
import {
  GatewayError,
  LINK_REALM,
  originOf,
  parseWho,
  whoText,
  type Identity,
  type Principal,
} from "../model/index.ts";
import { ACCESS_ROUTES } from "./access-operations.ts";
import { viewAccess, viewGrant } from "./access-view.ts";
import type { Api, ApiEnv } from "./api-env.ts";
import { noteAudit } from "./audit-operations.ts";
import type { ApiDeps } from "./deps.ts";
import { findOwnTask } from "./find-task.ts";
import { requestHeadOf } from "./request-head.ts";
import type { TaskAccess } from "./task-directory.ts";
import type { AccessRequest, AccessView, GrantCreated, GrantRequest, SharedLinkView } from "./wire-access.ts";

/** How long an answer waits for the table to show what was given. */
const SHOW_MS = 10_000;

/** Who may use a task beside its owner: told to its owner and administrators alone, and changed by them. */
export function addAccessRoutes(api: Api, deps: ApiDeps): void {
  addReading(api, deps);
  addGiving(api, deps);
  addTaking(api, deps);
  addLinks(api, deps);
}

/** A task of the caller's, and of it what is asked about. */
interface Asked {
  readonly task: GrantedTask;
  readonly access: TaskAccess;
  /** null: all services. */
  readonly service: string | null;
}

function addReading(api: Api, deps: ApiDeps): void {
  api.openapi(ACCESS_ROUTES.showAccess, (c) => c.json(view(deps, ask(c, deps, c.req.valid("param"))), 200));
  api.openapi(ACCESS_ROUTES.showServiceAccess, (c) => c.json(view(deps, ask(c, deps, c.req.valid("param"))), 200));
  api.openapi(ACCESS_ROUTES.accessHistory, async (c) => {
    const { task } = ask(c, deps, c.req.valid("param"));
    const changes = (await deps.auth.grants.history(task)).map(({ at, by, did, grant }) => {
      const { id, to, service, until } = grant;
      return { at, by: whoText(by), did, grant: { id, to: recipientText(to), service, until } };
    });
    return c.json({ changes }, 200);
  });
}

function addGiving(api: Api, deps: ApiDeps): void {
  api.openapi(ACCESS_ROUTES.shareTask, async (c) => {
    return c.json(await give(c, deps, ask(c, deps, c.req.valid("param")), c.req.valid("json")), 201);
  });
  api.openapi(ACCESS_ROUTES.shareService, async (c) => {
    return c.json(await give(c, deps, ask(c, deps, c.req.valid("param")), c.req.valid("json")), 201);
  });
  api.openapi(ACCESS_ROUTES.replaceAccess, async (c) => {
    return c.json(await replace(c, deps, ask(c, deps, c.req.valid("param")), c.req.valid("json")), 200);
  });
  api.openapi(ACCESS_ROUTES.replaceServiceAccess, async (c) => {
    return c.json(await replace(c, deps, ask(c, deps, c.req.valid("param")), c.req.valid("json")), 200);
  });
}

function addTaking(api: Api, deps: ApiDeps): void {
  const { grants } = deps.auth;
  const idsOf = ({ task, service }: Asked) =>
    grants.of(task).flatMap((grant) => (service === null || grant.service === service ? [grant.id] : []));
  api.openapi(ACCESS_ROUTES.unshareTask, async (c) => {
    const asked = ask(c, deps, c.req.valid("param"));
    await take(c, deps, asked, idsOf(asked));
    return c.body(null, 204);
  });
  api.openapi(ACCESS_ROUTES.unshareService, async (c) => {
    const asked = ask(c, deps, c.req.valid("param"));
    await take(c, deps, asked, idsOf(asked));
    return c.body(null, 204);
  });
  api.openapi(ACCESS_ROUTES.removeGrant, async (c) => {
    const { task, grant } = c.req.valid("param");
    const taken = await take(c, deps, ask(c, deps, { task }), [grant]);
    if (taken === 0) throw new GatewayError("not_found", "nothing of this id is given; `taskgate share` lists what is");
    return c.body(null, 204);
  });
}

function ask(c: Context<ApiEnv>, deps: ApiDeps, named: { readonly task: string; readonly service?: string }): Asked {
  const { id: key, name } = findOwnTask(c, deps, named.task);
  const access = deps.directory.accessOf(key);
  if (access === null) throw new GatewayError("not_found", "no task has this name; `taskgate ps` lists them");
  return { task: { key, ...access.task }, access, service: serviceOf(access, named.service, name) };
}

function serviceOf(access: TaskAccess, service: string | undefined, task: string): string | null {
  if (service === undefined) return null;
  if (access.services.some(({ name }) => name === service)) return service;
  const names = access.services.map(({ name }) => name).join(", ");
  throw new GatewayError("not_found", `task ${task} has no service named ${service}; it has ${names || "none yet"}`);
}

async function give(c: Context<ApiEnv>, deps: ApiDeps, asked: Asked, request: GrantRequest): Promise<GrantCreated> {
  const wanted = wantedOf(c.var.principal, deps, asked, request);
  const { grant, link } = await deps.auth.grants.give(asked.task, wanted, c.var.principal);
  await whenShown(deps, asked.task.key);
  const access = deps.directory.accessOf(asked.task.key) ?? asked.access;
  const created = viewGrant(grant, access);
  noteAudit(c, { after: created });
  const { site } = deps;
  const address = link === undefined ? null : `${originOf(site, site.gateHost)}/.taskgate/share#link=${link}`;
  return { ...created, link: address };
}

async function replace(c: Context<ApiEnv>, deps: ApiDeps, asked: Asked, request: AccessRequest): Promise<AccessView> {
  const { grants } = deps.auth;
  const { task, service } = asked;
  // All of it is looked at before any of it is done.
  const wanted = request.grants.map((grant) => wantedOf(c.var.principal, deps, asked, grant));
  if (wanted.some(({ to }) => "link" in to)) {
    throw new GatewayError("bad_request", "grants: a link is made by POST, and stays until it is taken back");
  }
  const keys = new Set(wanted.map(keyOf));
  const before = grants.of(task).filter((grant) => service === null || grant.service === service);
  const gone = before.filter((grant) => !("link" in grant.to) && !keys.has(keyOf(grant)));
  noteAudit(c, { before: before.map((grant) => viewGrant(grant, asked.access)) });
  for (const one of wanted) await grants.give(task, one, c.var.principal);
  await grants.take(
    task,
    gone.map((grant) => grant.id),
    c.var.principal,
  );
  await whenShown(deps, task.key);
  const now = view(deps, { ...asked, access: deps.directory.accessOf(task.key) ?? asked.access });
  noteAudit(c, { after: now.grants });
  return now;
}

async function take(c: Context<ApiEnv>, deps: ApiDeps, asked: Asked, ids: readonly string[]): Promise<number> {
  const taken = await deps.auth.grants.take(asked.task, ids, c.var.principal);
  noteAudit(c, { before: taken.map((grant) => viewGrant(grant, asked.access)) });
  await whenShown(deps, asked.task.key);
  return taken.length;
}

function view(deps: ApiDeps, { task, access, service }: Asked): AccessView {
  return viewAccess({ task, access, service, kept: deps.auth.grants.of(task), ceiling: deps.sharing.ceiling });
}

/** Throws `bad_request` for what nobody can be given, `denied` for what is above the ceiling. */
function wantedOf(principal: Principal, deps: ApiDeps, asked: Asked, request: GrantRequest): Wanted {
  const { ceiling, realm } = deps.sharing;
  const now = deps.clock.now();
  const to = recipientOf(request.to, principal.realm === deps.owner.realm ? realm : principal.realm);
  const service = serviceOf(asked.access, request.service, asked.task.key) ?? asked.service;
  if (asked.service !== null && service !== asked.service) {
    throw new GatewayError("bad_request", `service: this is the access of ${asked.service} alone`);
  }
  const until = untilOf(request, "link" in to ? ceiling.longestLink : ceiling.longestGrant, now);
  if (until !== null && until <= now) throw new GatewayError("bad_request", "until: expected a time to come");
  const refusal = refusalOf({ to, until }, ceiling, now);
  if (refusal !== null) throw new GatewayError("denied", refusal);
  return { to, service, until };
}

/** Where nothing is said: as long as it may last. */
function untilOf({ until, lifetimeMs }: GrantRequest, longest: number | undefined, now: number): number | null {
  if (until !== undefined) return until;
  const lifetime = lifetimeMs ?? longest;
  return lifetime === undefined ? null : now + lifetime;
}

function refusalOf({ to, until }: Pick<Wanted, "to" | "until">, ceiling: Ceiling, now: number): string | null {
  const end = until === null ? {} : { until };
  if ("link" in to) return grantRefusal({ to: { link: "" }, ...end }, ceiling, now);
  if (!("anyone" in to)) return grantRefusal({ to, ...end }, ceiling, now);
  return anyoneRefusal(to.anyone, ceiling) ?? lifetimeRefusal({ to: EVERYBODY, ...end }, ceiling, now);
}

/** What is for everybody may last as long as what is for somebody. */
const EVERYBODY: Identity = { realm: "", name: "" };

function recipientOf(text: string, realm: string): Recipient {
  if (text === "link") return { link: true };
  if (text === "authenticated" || text === "public") return { anyone: text };
  return parseWho(text, realm);
}

function keyOf({ to, service }: Pick<Wanted, "to" | "service">): string {
  return JSON.stringify([recipientText(to), service]);
}

/** So that who was told that it is given finds it so. */
async function whenShown(deps: ApiDeps, key: string): Promise<void> {
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(SHOW_MS)]);
  await deps.directory.until(key, () => deps.directory.showsShared(key), signal);
}

function addLinks(api: Api, deps: ApiDeps): void {
  api.openapi(ACCESS_ROUTES.redeemLink, async (c) => {
    const { link } = c.req.valid("json");
    // Whoever has the address of a link has the link.
    const text = link.slice(link.lastIndexOf("#link=") + 1).replace(/^link=/, "");
    const redeemed = await deps.auth.links.redeem(text, requestHeadOf(c.req.raw).peer);
    const { token, expiresAt, grantId, taskKey } = redeemed;
    noteAudit(c, { realm: LINK_REALM, user: grantId, proof: "shared-link", task: taskKey, object: grantId });
    return c.json({ token, expiresAt, link: grantId, ...openedBy(deps, grantId, taskKey) }, 200);
  });
}

/** Where a link leads. Throws `not_found` while its task is not there. */
function openedBy(deps: ApiDeps, grantId: string, taskKey: string): Pick<SharedLinkView, "task" | "services"> {
  const visitor: Principal = { realm: LINK_REALM, name: grantId, groups: [], admin: false };
  const now = deps.clock.now();
  const open = (deps.directory.accessOf(taskKey)?.services ?? []).filter(
    ({ route }) => mayUse(route, visitor, now) === "allowed",
  );
  if (open.length === 0) throw new GatewayError("not_found", "what this link leads to is not there just now");
  const { name, services } = deps.directory.get(taskKey);
  return {
    task: name,
    services: services
      .filter((service) => open.some((each) => each.name === service.name))
      .map(({ name: of, protocol, url, forward }) => ({ name: of, protocol, url, forward })),
  };
}
