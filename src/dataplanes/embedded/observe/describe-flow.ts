import type { Flow } from "../traffic.ts";

/** Path as logs may hold it. Queries hold tokens: `?` says that there was one. */
export function pathOf(path: string, withQuery: boolean): string {
  const query = withQuery ? -1 : path.indexOf("?");
  return query < 0 ? path : path.slice(0, query + 1);
}

/** `HTTP/1.1`, `HTTP/2`; of what is not HTTP, its kind. */
export function protocolOf({ asked, kind }: Flow): string {
  return asked === null ? kind.toUpperCase() : `HTTP/${asked.version}`;
}
