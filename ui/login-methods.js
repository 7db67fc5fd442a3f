import { call, postAsBrowser } from "./api.js";
import { el, isWebAddress } from "./dom.js";

const LOGIN_PAGE = "/.taskgate/login";
const CALLBACK = /^\/\.taskgate\/login\/([a-z0-9-]+)\/callback$/;
/** Attempts, by their state, kept where no other origin can read them: what they hold proves that it is this browser that comes back. */
const KEY = "taskgate.attempt.";
/** The gate keeps them for ten minutes. */
const GOOD_FOR_MS = 600_000;

/** The ways to log in that the gate knows. */
export async function readMethods() {
  return (await call("GET", "/login/methods")).methods;
}

/** Goes to the provider's page; `goal` comes back with `takeReturn`. */
export async function leaveFor(method, goal) {
  const { location: page, state, secret } = await call("POST", `/login/methods/${method}/begin`);
  if (!isWebAddress(page)) throw new Error("The gate answered with another address.");
  forgetOldAttempts();
  localStorage.setItem(KEY + state, JSON.stringify({ method, secret, goal, begunAt: Date.now() }));
  location.assign(page);
}

/**
 * What a provider sent this browser back with; null: this is no such page. It must not stay in the address bar or the history. `attempt`
 * is null where it was not this browser that left, so that nobody is logged in as somebody else by a link.
 */
export function takeReturn() {
  const method = CALLBACK.exec(location.pathname)?.[1];
  if (method === undefined) return null;
  const parameters = location.search.slice(1);
  history.replaceState(null, "", LOGIN_PAGE);
  const key = KEY + (new URLSearchParams(parameters).get("state") ?? "");
  const attempt = readAttempt(key);
  localStorage.removeItem(key);
  return { method, parameters, attempt: attempt?.method === method ? attempt : null };
}

/** Resolves with the login. */
export function complete({ method, parameters, attempt }) {
  return call("POST", `/login/methods/${method}/complete`, { parameters, secret: attempt.secret });
}

/**
 * What people click or fill in. `onLogin`: called with what resolves to a login; `onLeave`: with the name of a method whose page is to be
 * gone to.
 */
export function drawMethods(methods, { onLogin, onLeave }) {
  return methods.map((method) => {
    if (method.kind === "password") return passwordForm(method, onLogin);
    const click =
      method.kind === "redirect"
        ? () => onLeave(method.name)
        : () => onLogin(() => postAsBrowser(`/login/methods/${method.name}/header`));
    return el("button", { type: "button", class: "button primary", onClick: click }, `Log in with ${method.label}`);
  });
}

function passwordForm({ name, label, asksName }, onLogin) {
  const field = (props) => el("input", { id: `${name}-${props.name}`, required: true, spellcheck: "false", ...props });
  const user = field({ name: "user", autocomplete: "username", autocapitalize: "none" });
  const password = field({ name: "password", type: "password", autocomplete: "current-password" });
  const submit = (event) => {
    event.preventDefault();
    const given = { user: asksName ? user.value : "", password: password.value };
    password.value = "";
    onLogin(() => call("POST", `/login/methods/${name}/password`, given));
  };
  return el(
    "form",
    { onSubmit: submit, "aria-label": label },
    asksName && [el("label", { for: user.id }, "Name"), user],
    el("label", { for: password.id }, "Password"),
    password,
    el("button", { type: "submit", class: "button primary" }, `Log in with ${label}`),
  );
}

function readAttempt(key) {
  try {
    const attempt = JSON.parse(localStorage.getItem(key) ?? "null");
    return typeof attempt?.secret === "string" && Date.now() < attempt.begunAt + GOOD_FOR_MS ? attempt : null;
  } catch {
    // Storage that is switched off or spoiled holds no attempt.
    return null;
  }
}

function forgetOldAttempts() {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(KEY) && readAttempt(key) === null) localStorage.removeItem(key);
  }
}
