import { ApiError, call, readEvents, taskPath } from "./api.js";
import { confirm } from "./confirm.js";
import { byId, el, isWebAddress } from "./dom.js";
import { applyEvent, NOTHING } from "./live-tasks.js";
import { forgetLogin, onLoginChange, readLogin } from "./login-store.js";
import { createLogsView } from "./logs-view.js";
import { createShareDialog } from "./share-dialog.js";
import { createTaskList } from "./task-list.js";

const LOGIN_PAGE = "/.taskgate/login";
const RETRY_MS = { first: 500, longest: 10_000 };

const ACTIONS = {
  stop: {
    busy: "Stopping…",
    run: (task) => call("POST", taskPath(task.id, "/stop")),
    question: (task) => ({
      title: `Stop ${task.name}?`,
      text: "Its processes are asked to end, and ended if they do not. Its log and its name stay.",
      yes: "Stop",
    }),
  },
  restart: { busy: "Restarting…", run: (task) => call("POST", taskPath(task.id, "/restart")) },
  remove: {
    busy: "Removing…",
    run: (task) => call("DELETE", taskPath(task.id)),
    question: (task) => ({
      title: `Remove ${task.name}?`,
      text: task.controllable
        ? "It is forgotten with its log and its name. This cannot be undone."
        : "It is forgotten with its name. What listens there goes on.",
      yes: "Remove",
    }),
  },
};

let known = NOTHING;
let me = null;
const busy = new Map();
const logs = createLogsView({ onError: leaveIfLoggedOut });
const sharing = createShareDialog({ onError: leaveIfLoggedOut, copy });
const list = createTaskList({ act, copy, me: () => me, busyOf: (id) => busy.get(id) });

if (readLogin() === null) location.replace(LOGIN_PAGE);
else {
  byId("logout").addEventListener("click", logOut);
  onLoginChange(() => readLogin() === null && location.replace(LOGIN_PAGE));
  void showWho();
  void follow();
}

/** Stays with the live events for as long as the page is there. */
async function follow() {
  let wait = RETRY_MS.first;
  for (;;) {
    try {
      await readEvents((event) => {
        wait = RETRY_MS.first;
        setConnection("live", "Live");
        known = applyEvent(known, event);
        list.draw(known);
      }, new AbortController().signal);
    } catch (error) {
      if (!(error instanceof ApiError)) console.error(error);
      leaveIfLoggedOut(error);
    }
    setConnection("lost", "Reconnecting…");
    await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
    wait = Math.min(wait * 2, RETRY_MS.longest);
  }
}

async function showWho() {
  try {
    me = (await call("GET", "/login")).name;
    byId("who").textContent = me;
    list.redraw();
  } catch (error) {
    leaveIfLoggedOut(error);
  }
}

async function act(action, task) {
  if (action === "logs") {
    logs.open(task);
    return;
  }
  if (action === "share") {
    sharing.open(task);
    return;
  }
  const { question, run, busy: words } = ACTIONS[action];
  if (question !== undefined && !(await confirm(question(task)))) return;
  busy.set(task.id, words);
  list.redraw();
  try {
    await run(task);
  } catch (error) {
    leaveIfLoggedOut(error);
    notify(`${task.name}: ${error.message}`);
  } finally {
    busy.delete(task.id);
    list.redraw();
    keepFocusAt(task);
  }
}

/** Where a keyboard's place was the button that is gone: its card, or else the list. */
function keepFocusAt(task) {
  if (document.activeElement !== null && document.activeElement !== document.body) return;
  const card = [...document.querySelectorAll("[data-id]")].find((element) => element.dataset.id === task.id);
  (card ?? byId("content")).focus({ preventScroll: true });
}

async function copy(text, button) {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // Browsers give the clipboard to secure origins alone. Selected, it is one key away.
    getSelection()?.selectAllChildren(button.previousElementSibling);
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => (button.textContent = words), 1500);
}

async function logOut() {
  let next = LOGIN_PAGE;
  try {
    // The provider's page, where its login is to end, too.
    const answer = await call("DELETE", "/login");
    if (answer !== undefined && isWebAddress(answer.location)) next = answer.location;
  } catch {
    // A token that was pasted is not a browser's to revoke, and a gate that is gone cannot: here it is forgotten either way.
  }
  forgetLogin();
  location.replace(next);
}

function leaveIfLoggedOut(error) {
  if (error.status !== 401) return;
  forgetLogin();
  location.replace(LOGIN_PAGE);
}

function setConnection(state, words) {
  const element = byId("connection");
  element.dataset.state = state;
  if (element.textContent !== words) element.textContent = words;
}

function notify(message) {
  const notice = el(
    "p",
    { class: "notice bad" },
    el("span", {}, message),
    el("button", { type: "button", class: "button quiet small", onClick: () => notice.remove() }, "Dismiss"),
  );
  byId("notices").replaceChildren(notice);
}
