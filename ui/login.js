import { call } from "./api.js";
import { byId, el, isWebAddress } from "./dom.js";
import { complete, drawMethods, leaveFor, readMethods, takeReturn } from "./login-methods.js";
import { forgetLogin, keepLogin, readLogin } from "./login-store.js";
import { visitByLink } from "./share-links.js";

const TASKS_PAGE = "/.taskgate/";
/** A login that is good for longer than this is not worth replacing. */
const GOOD_FOR_MS = 24 * 3_600_000;

/** A service's host sent this browser here, and wants it back: `{host, state, path}`. */
let visit = null;
let onward = null;

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  void logInWith(byId("credential").value.trim());
});
// A link that is pasted into this very page changes the fragment alone.
addEventListener("hashchange", () => location.hash !== "" && void begin(takeFragment()));
const back = takeReturn();
if (back === null) {
  visit = readVisit();
  await begin(takeFragment());
} else await comeBack(back);

function readVisit() {
  const query = new URLSearchParams(location.search);
  if (!query.has("host")) return null;
  return { host: query.get("host"), state: query.get("state") ?? "", path: query.get("path") ?? "/" };
}

/** From a provider's page. */
async function comeBack(back) {
  if (back.attempt === null) {
    await ask("Log in", [el("p", { class: "bad" }, "That login was not begun in this browser, or too long ago.")]);
    return;
  }
  ({ visit, onward } = back.attempt.goal);
  await logInBy(
    () => complete(back),
    () => leave(back.method),
  );
}

async function leave(method) {
  say("One moment…");
  try {
    await leaveFor(method, { visit, onward });
  } catch (error) {
    failed(error, () => leave(method));
  }
}

/** `login` resolves to a new login; `again`: what trying again is. */
async function logInBy(login, again) {
  say("One moment…");
  try {
    await replaceLogin(await login());
  } catch (error) {
    if (error.status === 401) await ask("Log in", [el("p", { class: "bad" }, "That did not work. Try again.")]);
    else if (error.status === 403)
      await ask("You may not log in here", [el("p", { class: "bad" }, `${error.message}.`)]);
    else failed(error, again);
    return;
  }
  await goOn();
}

/** Somebody else's login in this browser ends: what it opened is not the new person's. */
async function replaceLogin({ token, expiresAt, realm, principal }) {
  const old = readLogin();
  try {
    const before = old === null ? null : await call("GET", "/login");
    if (before !== null && (before.name !== principal || before.realm !== realm)) await call("DELETE", "/login");
  } catch {
    // The old one has ended by itself.
  }
  keepLogin(token, expiresAt);
}

/** The code of a login link. It must not stay in the address bar or the history, used or not. */
function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  onward = fragment.get("to");
  return fragment.get("code");
}

async function begin(code) {
  say("One moment…");
  if (code !== null && !(await redeem(code))) return;
  if (readLogin() === null) {
    if (await enterByLink()) return;
    const what = visit === null ? [] : [el("p", {}, "You asked for ", el("strong", {}, visit.host), ".")];
    await ask("Log in", what);
    return;
  }
  await goOn();
}

/** Whether there is a login now. A code that is used up is no harm to a browser that is logged in already. */
async function redeem(code) {
  try {
    const login = await call("POST", "/login", { code });
    await keepBetter(login);
    return true;
  } catch (error) {
    if (readLogin() !== null && error.status === 401) return true;
    if (error.status === 401)
      await ask("This link does not work any more", [el("p", {}, "It was used before, or is too old.")]);
    else failed(error, () => begin(code));
    return false;
  }
}

/** A new login of the same person is ended at once where the old one is still good: what was opened with that one stays open. */
async function keepBetter({ token, expiresAt, realm, principal }) {
  const old = readLogin();
  if (old?.expiresAt > Date.now() + GOOD_FOR_MS) {
    try {
      const before = await call("GET", "/login");
      if (before.name === principal && before.realm === realm) {
        await call("DELETE", "/login", undefined, token);
        return;
      }
    } catch {
      // The old one is no good: the new one takes its place.
    }
  }
  keepLogin(token, expiresAt);
}

async function logInWith(text) {
  const code = URL.canParse(text) ? new URLSearchParams(new URL(text).hash.slice(1)).get("code") : null;
  say("One moment…");
  if (code !== null) {
    if (await redeem(code)) await goOn();
    return;
  }
  try {
    await call("GET", "/login", undefined, text);
    keepLogin(text, null);
  } catch (error) {
    if (error.status === 401)
      await ask("Log in", [el("p", { class: "bad" }, "That token is wrong, revoked or expired.")]);
    else failed(error, () => logInWith(text));
    return;
  }
  await goOn();
}

async function goOn() {
  try {
    if (visit !== null) location.replace(ownAddress((await call("POST", "/visits", visit)).location, visit.host));
    else location.replace(await pageAfterLogin());
  } catch (error) {
    if (error.status === 401) {
      forgetLogin();
      await ask("Log in again", [el("p", {}, "Your login has ended.")]);
    } else if (error.status === 403 && visit !== null) {
      if (!(await enterByLink())) await denied(error);
    } else if (error.status === 404 && visit !== null) {
      tell("Nothing is here", [el("p", {}, "No service has the address ", el("strong", {}, visit.host), " any more.")]);
      offer(tasksLink());
    } else failed(error, goOn);
  }
}

/** Whether a shared link that was opened in this browser leads on to where it wants to go. */
async function enterByLink() {
  if (visit === null) return false;
  try {
    const address = await visitByLink(visit);
    if (address === null) return false;
    location.replace(ownAddress(address, visit.host));
  } catch (error) {
    failed(error, () => begin(null));
  }
  return true;
}

/** A link may lead on to a service, but to no other site, whoever made it. */
async function pageAfterLogin() {
  const { domain } = await call("GET", "/version");
  if (onward === null || !isWebAddress(onward)) return TASKS_PAGE;
  const url = new URL(onward);
  const ours = url.hostname === location.hostname || url.hostname.endsWith(`.${domain}`);
  return ours && url.protocol === location.protocol && url.port === location.port ? url.href : TASKS_PAGE;
}

function ownAddress(address, host) {
  if (!isWebAddress(address) || new URL(address).host !== host)
    throw new Error("The gate answered with another address.");
  return address;
}

async function denied(error) {
  let who = "";
  try {
    who = (await call("GET", "/login")).name;
  } catch {
    // The name is only for the eye; the refusal stands without it.
  }
  tell("You may not open this", [
    el(
      "p",
      {},
      "You are logged in as ",
      el("strong", {}, who || "somebody else"),
      ", and asked for ",
      el("strong", {}, visit.host),
      ".",
    ),
    el("p", { class: "muted" }, `${error.message}. Its owner can let you in.`),
  ]);
  offer(
    tasksLink(),
    el(
      "button",
      { type: "button", class: "button", onClick: () => void ask("Log in as somebody else", []) },
      "Use another login",
    ),
  );
}

function failed(error, again) {
  tell("That did not work", [el("p", { class: "bad" }, error.message)]);
  offer(
    el("button", { type: "button", class: "button primary", onClick: () => void again() }, "Try again"),
    tasksLink(),
  );
}

function tasksLink() {
  return el("a", { class: "button", href: TASKS_PAGE }, "See your tasks");
}

/** Shows the ways to log in. A gate that cannot say which it has still takes a link or a token. */
async function ask(title, message) {
  tell(title, message);
  const methods = await readMethods().catch(() => []);
  byId("methods").replaceChildren(
    ...drawMethods(methods, {
      onLogin: (login) => void logInBy(login, () => ask(title, message)),
      onLeave: (method) => void leave(method),
    }),
  );
  byId("methods").hidden = methods.length === 0;
  byId("form").hidden = false;
  byId("credential").value = "";
  (byId("methods").querySelector("input, button") ?? byId("credential")).focus();
}

function say(title) {
  tell(title, []);
}

function tell(title, message) {
  byId("title").textContent = title;
  byId("message").replaceChildren(...message);
  byId("methods").hidden = true;
  byId("form").hidden = true;
  byId("choices").hidden = true;
}

function offer(...choices) {
  byId("choices").replaceChildren(...choices);
  byId("choices").hidden = false;
}
