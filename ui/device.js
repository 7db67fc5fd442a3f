import { call } from "./api.js";
import { byId, el } from "./dom.js";
import { forgetLogin, readLogin } from "./login-store.js";
import { timeAgo } from "./time-ago.js";

const LOGIN_PAGE = "/.taskgate/login";

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  void show(byId("code").value.trim());
});

if (readLogin() === null) logInFirst();
else await begin();

/** And back to this very page, the code in its fragment included. */
function logInFirst() {
  location.replace(`${LOGIN_PAGE}#to=${encodeURIComponent(location.href)}`);
}

/** The code may come with the link. Who asks is shown in any case, before anybody says yes. */
async function begin() {
  const code = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  if (code === "") ask([]);
  else await show(code);
}

async function show(userCode) {
  try {
    const device = await call("POST", "/login/device/show", { userCode });
    const me = await call("GET", "/login");
    tell([
      el(
        "p",
        {},
        "A command line on ",
        el("strong", {}, device.client),
        " wants to act as ",
        el("strong", {}, me.name),
        ".",
      ),
      el("p", {}, "Its code is ", el("strong", {}, userCode), "."),
      el("p", { class: "muted" }, `It asked from ${device.peer}, ${timeAgo(device.createdAt, Date.now())}.`),
      el("p", {}, "Let it in only if you have just run `taskgate login` there yourself and it shows this code."),
    ]);
    offer(
      el(
        "button",
        { type: "button", class: "button primary", onClick: () => void answer(userCode, true) },
        "Let it in",
      ),
      el("button", { type: "button", class: "button", onClick: () => void answer(userCode, false) }, "No"),
    );
  } catch (error) {
    refused(error);
  }
}

async function answer(userCode, approve) {
  try {
    await call("POST", "/login/device/answer", { userCode, approve });
    tell([el("p", {}, approve ? "It is in. You can close this page." : "It stays out. You can close this page.")]);
  } catch (error) {
    refused(error);
  }
}

function refused(error) {
  if (error.status === 401) {
    forgetLogin();
    logInFirst();
  } else ask([el("p", { class: "bad" }, `${error.message}.`)]);
}

function ask(message) {
  tell(message);
  byId("form").hidden = false;
  byId("code").focus();
}

function tell(message) {
  byId("message").replaceChildren(...message);
  byId("form").hidden = true;
  byId("choices").hidden = true;
}

function offer(...choices) {
  byId("choices").replaceChildren(...choices);
  byId("choices").hidden = false;
}
