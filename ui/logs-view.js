import { readText, taskPath } from "./api.js";
import { byId, el } from "./dom.js";

/** What the page keeps of a log; `taskgate logs` has all of it. */
const TAIL = 2000;
const MAX_CHARACTERS = 2_000_000;
/** Colours and cursor moves of terminals (ECMA-48, 5.4), and what else a page cannot show. */
const UNPRINTABLE =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** The one dialog for logs: `open(task)`. `onError(error)` hears of a login that ended. */
export function createLogsView({ onError }) {
  const dialog = byId("logs");
  const text = byId("logs-text");
  const select = byId("logs-replica").querySelector("select");
  let reading = null;
  let task = null;

  const atEnd = () => text.scrollHeight - text.scrollTop - text.clientHeight < 24;
  const toEnd = () => (text.scrollTop = text.scrollHeight);
  const say = (words, again = false) => {
    byId("logs-state").textContent = words;
    byId("logs-again").hidden = !again;
  };

  const append = (chunk) => {
    const follow = atEnd();
    text.append(chunk.replace(UNPRINTABLE, ""));
    while (text.textContent.length > MAX_CHARACTERS && text.childNodes.length > 1) text.firstChild.remove();
    if (follow) toEnd();
    else byId("logs-newest").hidden = false;
  };

  const read = async () => {
    reading?.abort();
    reading = new AbortController();
    const { signal } = reading;
    text.replaceChildren();
    say("Following…");
    const query = new URLSearchParams({ follow: "true", tail: String(TAIL) });
    if (select.value !== "") query.set("replica", select.value);
    try {
      await readText(taskPath(task.id, `/logs?${query}`), append, signal);
      say(text.textContent === "" ? "It wrote nothing." : "That was all.");
    } catch (error) {
      if (signal.aborted) return;
      say(error.message, true);
      onError(error);
    }
  };

  dialog.addEventListener("close", () => reading?.abort());
  byId("logs-close").addEventListener("click", () => dialog.close());
  byId("logs-again").addEventListener("click", read);
  byId("logs-newest").addEventListener("click", toEnd);
  byId("logs-wrap").addEventListener("change", (event) => text.classList.toggle("wrap", event.currentTarget.checked));
  select.addEventListener("change", read);
  text.addEventListener("scroll", () => {
    if (atEnd()) byId("logs-newest").hidden = true;
  });

  return {
    open(next) {
      task = next;
      byId("logs-title").textContent = `Log of ${task.name}`;
      const replicas = [...new Set(task.services.flatMap((service) => service.replicas.map(({ replica }) => replica)))];
      byId("logs-replica").hidden = replicas.length < 2;
      select.replaceChildren(
        ...(replicas.length < 2 ? [] : replicas.map((replica) => el("option", { value: replica }, replica))),
      );
      dialog.showModal();
      text.focus();
      void read();
    },
    close: () => dialog.close(),
  };
}
