/** The gate's login, kept where no other origin, port included, can read it. It is never in a cookie and never in a URL. */
const KEY = "taskgate.login";

/** `{token, expiresAt}`; `expiresAt` (epoch ms) is null for a token that was pasted. null: none. */
export function readLogin() {
  try {
    const login = JSON.parse(localStorage.getItem(KEY) ?? "null");
    return typeof login?.token === "string" ? { token: login.token, expiresAt: login.expiresAt ?? null } : null;
  } catch {
    // Storage that is switched off or spoiled is no login.
    return null;
  }
}

/** Throws where the browser keeps nothing. */
export function keepLogin(token, expiresAt) {
  localStorage.setItem(KEY, JSON.stringify({ token, expiresAt }));
}

export function forgetLogin() {
  localStorage.removeItem(KEY);
}

/** Calls when another tab logged in or out. */
export function onLoginChange(call) {
  addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) call();
  });
}
