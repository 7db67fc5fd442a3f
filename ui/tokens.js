import { call } from "./api.js";
import { confirm } from "./confirm.js";
import { byId, el } from "./dom.js";
import { forgetLogin, onLoginChange, readLogin } from "./login-store.js";
import { timeAgo } from "./time-ago.js";

const LOGIN_PAGE = "/.taskgate/login";
const DAY_MS = 86_400_000;

if (readLogin() === null) location.replace(LOGIN_PAGE);
else {
  onLoginChange(() => readLogin() === null && location.replace(LOGIN_PAGE));
  byId("create").addEventListener("submit", (event) => {
    event.preventDefault();
    void doing(() => create(byId("create")));
  });
  void doing(show);
}

/** Says what went wrong, where something did. */
async function doing(work) {
  byId("notices").replaceChildren();
  try {
    await work();
  } catch (error) {
    if (error.status === 401) {
      forgetLogin();
      location.replace(LOGIN_PAGE);
    } else byId("notices").replaceChildren(el("p", { class: "notice bad" }, error.message));
  }
}

async function create(form) {
  const fields = new FormData(form);
  const services = String(fields.get("services"))
    .split(/[\s,]+/)
    .filter((service) => service !== "");
  const actions = String(fields.get("actions"))
    .split(",")
    .filter((action) => action !== "");
  const wish = { name: String(fields.get("name")), lifetimeMs: Number(fields.get("days")) * DAY_MS };
  const scope = { actions, ...(services.length > 0 ? { services } : {}) };
  const limited = actions.length > 0;
  if (!limited && services.length > 0) throw new Error("Say what the token may do with these services.");
  const { token, name } = await call("POST", "/tokens", { ...wish, ...(limited ? { scope } : {}) });
  const made = byId("made");
  made.replaceChildren(
    el("p", {}, "The token ", el("strong", {}, name), " is shown this once. Keep it where nobody else looks."),
    el("code", { id: "token" }, token),
    el("button", { type: "button", class: "button quiet small", onClick: forget }, "I have it"),
  );
  made.hidden = false;
  form.reset();
  await show();
}

/** It is on no page any more, and not in what a browser keeps of one. */
function forget() {
  byId("made").replaceChildren();
  byId("made").hidden = true;
}

async function revoke(token) {
  const { name, kind } = token;
  const text =
    kind === "browser"
      ? "It is logged out, with all that it holds open."
      : "Programs that use it are refused, and what they hold open is closed.";
  if (!(await confirm({ title: `Revoke ${name}?`, text, yes: "Revoke" }))) return;
  await call("DELETE", `/tokens/${encodeURIComponent(token.id)}`);
  await show();
}

async function show() {
  const { tokens } = await call("GET", "/tokens");
  const now = Date.now();
  const heads = ["Name", "Whose", "May", "Last used", "Ends", ""];
  byId("tokens").replaceChildren(
    el(
      "table",
      { class: "tokens" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          heads.map((head) => el("th", { scope: "col" }, head)),
        ),
      ),
      el(
        "tbody",
        {},
        tokens.map((token) => rowOf(token, now)),
      ),
    ),
  );
}

function rowOf(token, now) {
  const { name, owner, kind, scope, lastUsedAt, expiresAt } = token;
  const cells = [
    kind === "browser" ? `${name} (logged in)` : name,
    owner,
    scope === null
      ? "everything"
      : `${scope.actions.join(", ")}${scope.services ? `: ${scope.services.join(", ")}` : ""}`,
    lastUsedAt === null ? "never" : timeAgo(lastUsedAt, now),
    expiresAt === null ? "when it is revoked" : new Date(expiresAt).toLocaleString(),
  ];
  const click = () => void doing(() => revoke(token));
  const button = el(
    "button",
    { type: "button", class: "button quiet small", "aria-label": `Revoke ${name}`, onClick: click },
    "Revoke",
  );
  return el(
    "tr",
    {},
    cells.map((cell) => el("td", {}, cell)),
    el("td", {}, button),
  );
}
