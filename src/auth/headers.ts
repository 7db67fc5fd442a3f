import { IDENTITY_HEADERS, isIdentityField, type RequestHead, type Route } from "../model/index.ts";

/** Of the gate's own family; what is looked for where a plane cannot say which names there are. */
const OWN_HEADERS = [
  "x-taskgate-authorization",
  "x-taskgate-service",
  "x-taskgate-user",
  "x-taskgate-groups",
  "x-taskgate-assertion",
];

const WITHOUT_NAMES: readonly string[] = [...IDENTITY_HEADERS, ...OWN_HEADERS];

/** Names of the fields of a request that its job must not see. `recognised`: what authenticators take as theirs. */
export function strippedHeaders(route: Route, head: RequestHead, recognised: readonly string[]): readonly string[] {
  const stripped = [...recognised];
  for (const name of head.names?.() ?? WITHOUT_NAMES) if (isIdentityField(name)) stripped.push(name);
  if (route.policy.authorization === "gate") stripped.push("authorization");
  return stripped.length > 1 ? [...new Set(stripped)] : stripped;
}
