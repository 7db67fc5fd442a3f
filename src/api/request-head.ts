import type { RequestHead } from "../model/index.ts";

/**
 * The head of a request that came through the data plane. The plane sets the last entry of X-Forwarded-For and of X-Forwarded-Proto;
 * what stands before is the visitor's word. Cookies are left out: the API knows no login that a browser sends by itself, so no other
 * site can use one (CSRF).
 */
export function requestHeadOf(request: Request): RequestHead {
  const url = new URL(request.url);
  const header = (name: string) => (name === "cookie" ? undefined : (request.headers.get(name) ?? undefined));
  return {
    method: request.method,
    host: (header("host") ?? url.host).toLowerCase(),
    path: url.pathname + url.search,
    peer: lastOf(header("x-forwarded-for")) ?? "unknown",
    front: header("x-taskgate-front"),
    secure: lastOf(header("x-forwarded-proto")) === "https",
    header,
  };
}

function lastOf(list: string | undefined): string | undefined {
  const last = list?.split(",").at(-1)?.trim();
  return last === "" ? undefined : last;
}
