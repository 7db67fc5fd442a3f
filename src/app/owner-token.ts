import { readFileSync } from "node:fs";
import type { Auth } from "../auth/auth.ts";
import type { Home } from "../config/home.ts";
import { isCode, type Principal, type RequestHead } from "../model/index.ts";
import { replaceFile } from "../platform/replace-file.ts";

/** Makes sure that the state folder holds a token of the owner's that works, 0600: the command line logs in with it. */
export async function keepOwnerToken(home: Home, auth: Auth, owner: Principal): Promise<void> {
  const held = readToken(home);
  if (held !== null && (await works(auth, held))) return;
  const { token } = await auth.tokens.issue({ name: "command line", principal: owner });
  replaceFile(home.token, `${token}\n`);
}

function readToken(home: Home): string | null {
  try {
    return readFileSync(home.token, "utf8").trim();
  } catch {
    return null; // none yet, or not readable: a new one is made either way
  }
}

async function works(auth: Auth, token: string): Promise<boolean> {
  try {
    await auth.authenticate(headWith(token), AbortSignal.timeout(10_000));
    return true;
  } catch (error) {
    if (isCode(error, "unauthenticated")) return false;
    throw error;
  }
}

function headWith(token: string): RequestHead {
  return {
    method: "GET",
    host: "",
    path: "/",
    peer: "127.0.0.1",
    secure: false,
    header: (name) => (name === "authorization" ? `Bearer ${token}` : undefined),
  };
}
