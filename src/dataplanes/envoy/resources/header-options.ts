import type { HeaderValueOption } from "../proto/tables/core.ts";

/** In the place of whatever there is. */
export function set(key: string, value: string): HeaderValueOption {
  return { header: { key, value }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" };
}
