/**
 * All claims are in so many entries of the store. More of them: a change writes less (of 100,000 claims, 200 are in one, 26 KB). Fewer: many
 * claims that are made at once take fewer writes.
 */
const PAGES = 512;

/** Key of the entry that a claim is in, by its key: always the same one, so that two who write it at once find out. */
export function pageOf(id: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < id.length; at += 1) value = Math.imul(value ^ id.charCodeAt(at), 0x01000193);
  return String((value >>> 0) % PAGES).padStart(4, "0");
}
