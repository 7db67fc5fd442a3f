import { recipientText, type GrantedTask, type KeptGrant } from "../auth/granted.ts";
import type { Ceiling } from "../core/access-ceiling.ts";
import { whoText, type Access, type Grant } from "../model/index.ts";
import type { TaskAccess } from "./task-directory.ts";
import type { AccessView, GrantView } from "./wire-access.ts";

/** Who gives what the configuration gives. */
const RULES_REALM = "config";

export interface AccessViewInput {
  readonly task: GrantedTask;
  readonly access: TaskAccess;
  /** What its owner and administrators gave. */
  readonly kept: readonly KeptGrant[];
  readonly ceiling: Ceiling;
  /** null: all services. */
  readonly service: string | null;
}

/** All that is given of a task, or that concerns one service of it, whoever gives it. */
export function viewAccess({ task, access, kept, ceiling, service }: AccessViewInput): AccessView {
  const services = access.services.filter(({ name }) => service === null || name === service);
  const concerned = kept.filter((grant) => service === null || grant.service === null || grant.service === service);
  return {
    task: task.key,
    owner: task.owner === null ? null : whoText(task.owner),
    services: services.map(({ name, route }) => ({ name, anyone: route.access.anyone })),
    grants: [...concerned.map((grant) => viewGrant(grant, access)), ...othersGrants(services, kept)],
    bounds: boundsOf(ceiling),
  };
}

/** One thing that was given. */
export function viewGrant(grant: KeptGrant, access: TaskAccess): GrantView {
  const { id, service, to, until, by, createdAt } = grant;
  const concerned = access.services.filter(({ name }) => service === null || name === service);
  const effective = concerned.length === 0 || concerned.some(({ route }) => holds(route.access, grant));
  return { id, source: "owner", to: recipientText(to), service, until, by: whoText(by), createdAt, effective };
}

/** What is given by the task's provider and by rules: in the table, and nothing that was given by hand. */
function othersGrants(services: TaskAccess["services"], kept: readonly KeptGrant[]): GrantView[] {
  const views = services.flatMap(({ name, route }) =>
    route.access.grants
      .filter((grant) => !kept.some((one) => isSame(one, grant)))
      .map((grant): GrantView => {
        const source = grant.by.realm === RULES_REALM ? "rule" : "provider";
        const until = grant.until ?? null;
        const by = whoText(grant.by);
        return { id: null, source, to: textOf(grant.to), service: name, until, by, createdAt: null, effective: true };
      }),
  );
  return distinct(views, services.length);
}

/** What every service has is said once. */
function distinct(views: readonly GrantView[], services: number): GrantView[] {
  const groups = Map.groupBy(views, (view) => JSON.stringify({ ...view, service: null }));
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first !== undefined && group.length === services ? [{ ...first, service: null }] : group;
  });
}

function holds(access: Access, grant: KeptGrant): boolean {
  if (!("anyone" in grant.to)) return access.grants.some((each) => isSame(grant, each));
  return access.anyone === "public" || access.anyone === grant.to.anyone;
}

function isSame({ id, to, until }: KeptGrant, grant: Grant): boolean {
  if ("link" in grant.to) return grant.to.link === id;
  return recipientText(to) === whoText(grant.to) && until === (grant.until ?? null);
}

function textOf(to: Grant["to"]): string {
  return "link" in to ? "link" : whoText(to);
}

function boundsOf({ anyone, links, longestGrant, longestLink, realms, groups }: Ceiling): AccessView["bounds"] {
  return {
    ...{ anyone, links },
    longestGrantMs: longestGrant ?? null,
    longestLinkMs: longestLink ?? null,
    realms: realms === undefined ? null : [...realms],
    groups: groups?.map((group) => whoText({ group })) ?? null,
  };
}
