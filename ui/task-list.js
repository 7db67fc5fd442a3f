import { byId, el } from "./dom.js";
import { hasEnded, selectTasks } from "./live-tasks.js";
import { problemRow, sinceText, taskCard } from "./task-card.js";

/** From so many tasks on there is something to filter. */
const FILTER_FROM = 5;

/** Draws what is known into the page: `draw(known)`. Cards whose task did not change stay as they are. `options` as of `taskCard`. */
export function createTaskList(options) {
  const cards = new Map();
  const open = new Set();
  const filter = byId("filter");
  const input = filter.querySelector("input");
  let last = null;

  const cardOptions = {
    ...options,
    isOpen: (key) => open.has(key),
    setOpen: (key, isOpen) => (isOpen ? open.add(key) : open.delete(key)),
  };

  const cardOf = (task) => {
    const busy = options.busyOf(task.id);
    const kept = cards.get(task.id);
    if (kept?.task === task && kept.busy === busy) return kept.element;
    const element = taskCard(task, { ...cardOptions, me: options.me(), busy });
    cards.set(task.id, { task, busy, element });
    return element;
  };

  const draw = (known) => {
    last = known;
    const all = [...known.tasks.values()];
    for (const id of cards.keys()) if (!known.tasks.has(id)) cards.delete(id);
    filter.hidden = all.length < FILTER_FROM && input.value === "";
    const shown = selectTasks(all, input.value);
    const groups = [
      group(
        "Active",
        shown.filter((task) => !hasEnded(task)),
        cardOf,
      ),
      group("Ended", shown.filter(hasEnded), cardOf),
    ];
    replaceKeepingFocus(
      byId("tasks"),
      all.length === 0 ? [emptyState(options.copy)] : shown.length === 0 ? [noMatch()] : groups,
    );
    byId("tasks").setAttribute("aria-busy", "false");
    drawProblems(known.problems);
    sayCount(all);
  };

  input.addEventListener("input", () => last !== null && draw(last));
  setInterval(() => {
    for (const element of document.querySelectorAll("[data-since]"))
      element.textContent = sinceText(element.dataset.said, Number(element.dataset.since));
  }, 10_000);
  return { draw, redraw: () => last !== null && draw(last) };
}

function group(name, tasks, cardOf) {
  if (tasks.length === 0) return null;
  const id = `group-${name.toLowerCase()}`;
  return el(
    "section",
    { "aria-labelledby": id },
    el("h2", { id, class: "group" }, name, el("span", { class: "count" }, tasks.length)),
    tasks.map(cardOf),
  );
}

/** A card that is drawn anew has a new button under the same key: it gets the focus of the old one. What is gone leaves it to the page. */
function replaceKeepingFocus(parent, children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  parent.replaceChildren(...children.filter(Boolean));
  if (focused === null || parent.contains(document.activeElement)) return;
  const same = [...parent.querySelectorAll("[data-focus]")].find(
    (each) => each.dataset.focus === focused.dataset.focus,
  );
  (same ?? byId("content")).focus({ preventScroll: true });
}

function drawProblems(problems) {
  const section = byId("problems");
  section.hidden = problems.length === 0;
  section.querySelector("ul").replaceChildren(...problems.map(problemRow));
}

function sayCount(tasks) {
  const live = tasks.filter((task) => !hasEnded(task)).length;
  const text = `${live} active, ${tasks.length - live} ended`;
  if (byId("summary").textContent !== text) byId("summary").textContent = text;
  document.title = live === 0 ? "taskgate" : `taskgate (${live})`;
}

function noMatch() {
  return el("p", { class: "muted" }, "No task matches the filter.");
}

const FIRST_COMMANDS = [
  ["Any program that listens on a port", "taskgate run --name hello -- python3 -m http.server 8000"],
  ["A notebook", "taskgate run --name nb -- jupyter lab --no-browser"],
  ["Something that already listens", "taskgate attach 8888 --name mine"],
];

function emptyState(copy) {
  const rows = FIRST_COMMANDS.map(([what, command]) =>
    el(
      "div",
      { class: "command" },
      el("dt", {}, what),
      el(
        "dd",
        { class: "copyable" },
        el("code", {}, command),
        el(
          "button",
          {
            type: "button",
            class: "button quiet small",
            "aria-label": `Copy ${command}`,
            onClick: (event) => copy(command, event.currentTarget),
          },
          "Copy",
        ),
      ),
    ),
  );
  return el(
    "div",
    { class: "empty" },
    el("h2", {}, "Nothing runs yet"),
    el(
      "p",
      {},
      "Start something in a terminal. Whatever it listens on appears here, at a name of its own, for you alone.",
    ),
    el("dl", {}, rows),
  );
}
