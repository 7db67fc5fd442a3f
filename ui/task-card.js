import { el, isWebAddress } from "./dom.js";
import { hasEnded } from "./live-tasks.js";
import { clockTime, timeAgo } from "./time-ago.js";

const STATES = {
  starting: "Starting",
  running: "Running",
  stopping: "Stopping",
  finished: "Ended",
  failed: "Failed",
};

/**
 * One task; it takes the focus where the button that had it went away. `options`: `me` (name of who is logged in), `busy` (what is being done to it, in words, or undefined), `act(action, task)`,
 * `copy(text, button)`, and `isOpen(key)`, `setOpen(key, open)` for what is folded out.
 */
export function taskCard(task, options) {
  const title = `task-${task.id}`;
  return el(
    "article",
    {
      class: "card",
      "data-state": task.state,
      "data-id": task.id,
      "data-focus": task.id,
      tabindex: "-1",
      "aria-labelledby": title,
    },
    el(
      "header",
      { class: "card-head" },
      el("h3", { id: title, title: task.id }, task.name),
      el("span", { class: "kind" }, task.kind),
      el("span", { class: `state ${task.state}` }, STATES[task.state] ?? task.state),
      actions(task, options),
    ),
    facts(task, options),
    services(task, options),
    problems(task),
  );
}

function facts(task, { me }) {
  const started = task.startedAt !== null && sinceTime("started", task.startedAt);
  const owner = task.owner !== null && task.owner !== me && `owner ${task.owner}`;
  const where = task.provider !== "local" && `from ${task.provider}`;
  const parts = [started, owner, where].filter(Boolean);
  return [
    parts.length > 0 &&
      el(
        "p",
        { class: "facts" },
        parts.flatMap((part, at) => (at === 0 ? [part] : [" · ", part])),
      ),
    task.reason !== null && el("p", { class: `reason ${task.state}` }, task.reason),
    task.staleSince !== null && staleNote(task.staleSince),
  ].filter(Boolean);
}

function staleNote(since) {
  return el(
    "p",
    { class: "reason stale" },
    sinceTime(`Stale since ${clockTime(since, Date.now())},`, since),
    ": its provider does not answer, and this is what was last known.",
  );
}

/** What is said of a moment, and how long ago that was. */
function sinceTime(said, since) {
  const attributes = { datetime: new Date(since).toISOString(), "data-since": since, "data-said": said };
  return el("time", attributes, sinceText(said, since));
}

/** Text of an element with `data-said` and `data-since`. */
export function sinceText(said, since) {
  return `${said} ${timeAgo(since, Date.now())}`;
}

function actions(task, { busy, act }) {
  if (busy !== undefined)
    return el("div", { class: "card-actions" }, el("span", { class: "muted", role: "status" }, busy));
  if (!task.manageable) return el("div", { class: "card-actions" });
  const button = (action, text, kind = "") =>
    el(
      "button",
      {
        type: "button",
        class: `button quiet ${kind}`,
        "data-focus": `${task.id} ${action}`,
        "aria-label": `${text} ${task.name}`,
        onClick: () => act(action, task),
      },
      text,
    );
  const ended = hasEnded(task);
  return el(
    "div",
    { class: "card-actions" },
    ended ? null : button("share", "Share"),
    task.controllable ? button("logs", "Logs") : null,
    ended && task.controllable && task.provider === "local" ? button("restart", "Restart") : null,
    ended || !task.controllable ? null : button("stop", "Stop", "danger-text"),
    task.removable && (ended || !task.controllable) ? button("remove", "Remove", "danger-text") : null,
  );
}

function services(task, options) {
  // What has ended answers nowhere.
  if (hasEnded(task)) return null;
  if (task.services.length === 0) {
    return el("p", { class: "muted" }, "No ports yet: those that it opens appear here by themselves.");
  }
  return el(
    "ul",
    { class: "services" },
    task.services.map((service) => serviceRow(task, service, options)),
  );
}

function serviceRow(task, service, options) {
  return el(
    "li",
    { class: "service" },
    el("span", { class: `dot ${service.health}`, title: service.health }),
    el("span", { class: "service-name" }, service.name, el("span", { class: "hidden" }, `, ${service.health}`)),
    el("span", { class: "protocol" }, service.protocol),
    wayIn(task, service, options),
    service.health === "unhealthy" && el("span", { class: "tag bad" }, "not answering"),
    !service.login && el("span", { class: "tag warn", title: "Whoever reaches it is in." }, "no login"),
    service.login && service.anyone === "authenticated" && el("span", { class: "tag" }, "every user"),
    sharedTag(service),
    replicas(task, service, options),
  );
}

function sharedTag({ sharedWith }) {
  if (sharedWith.length === 0) return null;
  const links = sharedWith.filter((who) => who.startsWith("link:")).length;
  const names = sharedWith.filter((who) => !who.startsWith("link:"));
  if (links > 0) names.push(links === 1 ? "a link" : `${links} links`);
  return el("span", { class: "tag", title: `Shared with ${names.join(", ")}` }, `shared with ${sharedWith.length}`);
}

function wayIn(task, service, { copy }) {
  if (service.url !== null && isWebAddress(service.url) && service.protocol === "http") {
    const { host, pathname } = new URL(service.url);
    return el(
      "a",
      {
        class: "way",
        href: service.url,
        target: "_blank",
        rel: "noopener noreferrer",
        "data-focus": `${task.id} ${service.name}`,
      },
      host + (pathname === "/" ? "" : pathname),
      el("span", { class: "arrow", "aria-hidden": "true" }, "↗"),
      el("span", { class: "hidden" }, ` (${service.name} of ${task.name}, opens in a new tab)`),
    );
  }
  const text = service.url ?? (service.forward === null ? null : `taskgate forward ${task.name}/${service.name}`);
  if (text === null) return el("span", { class: "way muted" }, "no way in");
  return el(
    "span",
    { class: "way copyable" },
    el("code", {}, text),
    el(
      "button",
      {
        type: "button",
        class: "button quiet small",
        "data-focus": `${task.id} ${service.name} copy`,
        "aria-label": `Copy ${text}`,
        onClick: (event) => copy(text, event.currentTarget),
      },
      "Copy",
    ),
  );
}

function replicas(task, service, { isOpen, setOpen }) {
  if (service.replicas.length === 0) return null;
  const healthy = service.replicas.filter((replica) => replica.health === "healthy").length;
  const key = `${task.id} ${service.name} replicas`;
  const rows = service.replicas.map((replica) =>
    el(
      "li",
      {},
      el("span", { class: `dot ${replica.health}`, title: replica.health }),
      el("span", { class: "hidden" }, `${replica.health} `),
      replica.url !== null && isWebAddress(replica.url) && service.protocol === "http"
        ? el("a", { href: replica.url, target: "_blank", rel: "noopener noreferrer" }, `Replica ${replica.replica}`)
        : `Replica ${replica.replica}`,
    ),
  );
  return el(
    "details",
    { class: "replicas", open: isOpen(key), onToggle: (event) => setOpen(key, event.currentTarget.open) },
    el("summary", { "data-focus": key }, `${service.replicas.length} replicas, ${healthy} healthy`),
    el("ul", {}, rows),
  );
}

function problems(task) {
  if (task.problems.length === 0) return null;
  return el("ul", { class: "card-problems", "aria-label": `Problems of ${task.name}` }, task.problems.map(problemRow));
}

/** One problem: what is wrong, then what it is about. */
export function problemRow(problem) {
  return el(
    "li",
    {},
    el("span", {}, problem.message),
    " ",
    problem.since !== undefined && [sinceTime(`Since ${clockTime(problem.since, Date.now())},`, problem.since), ". "],
    el("span", { class: "muted code" }, `${problem.subject} · ${problem.code}`),
  );
}
