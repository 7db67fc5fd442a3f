import type { RequestHead, Route } from "../model/index.ts";
import { holdsToken } from "./authenticators/token-fields.ts";

/**
 * The head as authenticators look at it. Where `Authorization` is the app's own they see none of it, unless it holds a token of this gate,
 * which no job may get: visitors of such a service log in by cookie or `X-Taskgate-Authorization`.
 */
export function credentialHead({ policy }: Route, head: RequestHead): RequestHead {
  const field = policy.authorization === "app" ? head.header("authorization") : undefined;
  if (field === undefined || holdsToken(field)) return head;
  const { method, host, path, peer, front, secure } = head;
  return {
    ...{ method, host, path, peer, front, secure },
    header: (name) => (name === "authorization" ? undefined : head.header(name)),
    ...(head.names !== undefined && {
      names: () => [...(head.names?.() ?? [])].filter((name) => name !== "authorization"),
    }),
  };
}
