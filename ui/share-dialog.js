import { call, taskPath } from "./api.js";
import { byId, el } from "./dom.js";

const LIFETIMES = [
  ["1 hour", 3_600_000],
  ["8 hours", 8 * 3_600_000],
  ["1 day", 86_400_000],
  ["7 days", 7 * 86_400_000],
  ["30 days", 30 * 86_400_000],
];
const WORDS = { link: "Whoever has the link", authenticated: "Everybody who logged in", public: "Everybody" };
const OPENNESS = ["nobody", "authenticated", "public"];

/** Who may use a task: `open(task)`. `onError` sees what the API refuses; `copy(text, button)` as of the page. */
export function createShareDialog({ onError, copy }) {
  const dialog = byId("share");
  let task = null;
  let bounds = null;

  /** Does something, then shows how things are. What is refused is said beside the form, and nothing of it is lost. */
  const change = async (work) => {
    byId("share-error").textContent = "";
    byId("share-give").disabled = true;
    try {
      const done = await work();
      const access = await call("GET", taskPath(task.id, "/access"));
      ({ bounds } = access);
      drawForm(bounds);
      drawGrants(access.grants, (grant) => change(() => call("DELETE", taskPath(task.id, `/access/${grant.id}`))));
      return done;
    } catch (error) {
      byId("share-error").textContent = error.message;
      onError(error);
      return undefined;
    } finally {
      byId("share-give").disabled = false;
    }
  };

  const give = async () => {
    showLink(null);
    const created = await change(() => call("POST", taskPath(task.id, "/access"), readForm()));
    if (created === undefined) return;
    byId("share-who").value = "";
    showLink(created.link);
  };

  byId("share-kind").addEventListener("change", () => drawForm(bounds));
  byId("share-close").addEventListener("click", () => dialog.close());
  byId("share-copy").addEventListener("click", (event) => {
    void copy(byId("share-address").textContent, event.currentTarget);
  });
  byId("share-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void give();
  });

  return {
    open(of) {
      task = of;
      byId("share-title").textContent = `Share ${task.name}`;
      byId("share-who").value = "";
      byId("share-grants").replaceChildren();
      drawServices(task.services);
      showLink(null);
      dialog.showModal();
      void change(() => Promise.resolve());
    },
  };
}

function readForm() {
  const kind = byId("share-kind").value;
  const lifetime = byId("share-for").value;
  const service = byId("share-service").value;
  return {
    to: kind === "who" ? byId("share-who").value.trim() : kind,
    ...(lifetime === "" ? {} : { lifetimeMs: Number(lifetime) }),
    ...(service === "" ? {} : { service }),
  };
}

/** Offers what the gate allows, and no more. */
function drawForm(bounds) {
  for (const option of byId("share-kind").options) {
    const { value } = option;
    option.disabled = value === "link" ? !bounds.links : OPENNESS.indexOf(value) > OPENNESS.indexOf(bounds.anyone);
  }
  const kind = byId("share-kind").value;
  byId("share-who-field").hidden = kind !== "who";
  byId("share-who").required = kind === "who";
  const longest = (kind === "link" ? bounds.longestLinkMs : bounds.longestGrantMs) ?? Infinity;
  const before = byId("share-for").value;
  byId("share-for").replaceChildren(
    ...LIFETIMES.filter(([, ms]) => ms <= longest).map(([words, ms]) => el("option", { value: ms }, words)),
    el("option", { value: "" }, longest === Infinity ? "Until I take it back" : "As long as allowed"),
  );
  const same = [...byId("share-for").options].find((option) => option.value === before);
  if (same !== undefined) same.selected = true;
}

function drawServices(services) {
  byId("share-service").replaceChildren(
    el("option", { value: "" }, "All services"),
    ...services.map(({ name }) => el("option", { value: name }, name)),
  );
  byId("share-service-field").hidden = services.length < 2;
}

/** A link is shown this once: whoever closes the dialog has copied it or makes another. */
function showLink(address) {
  byId("share-link").hidden = address === null;
  byId("share-address").textContent = address ?? "";
}

function drawGrants(grants, remove) {
  const rows = grants.map((grant) => {
    const words = WORDS[grant.to] ?? grant.to;
    const until = grant.until === null ? "" : ` · until ${new Date(grant.until).toLocaleString()}`;
    const what = grant.service === null ? "" : ` · ${grant.service} alone`;
    return el(
      "li",
      {},
      el(
        "span",
        {},
        words,
        el("span", { class: "muted" }, `${what}${until} · by ${grant.by}`),
        !grant.effective && el("span", { class: "tag bad" }, "not allowed any more"),
      ),
      grant.id === null
        ? el("span", { class: "muted" }, grant.source === "rule" ? "by the administrator" : "by its provider")
        : el(
            "button",
            {
              type: "button",
              class: "button quiet small danger-text",
              "aria-label": `Remove ${words}`,
              onClick: () => void remove(grant),
            },
            "Remove",
          ),
    );
  });
  byId("share-grants").replaceChildren(
    ...(rows.length > 0 ? rows : [el("li", { class: "muted" }, "Nobody else may use it by name or by link.")]),
  );
}
