import { userInfo } from "node:os";

/** Name of the user that this process runs as. Containers often run as one that no list of users has: `uid-12345` then. */
export function ownUserName(read: () => { readonly username: string } = userInfo): string {
  try {
    return read().username;
  } catch {
    return `uid-${String(process.getuid?.() ?? "unknown")}`; // uv_os_get_passwd: ENOENT
  }
}
