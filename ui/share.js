import { call } from "./api.js";
import { byId, el, isWebAddress } from "./dom.js";
import { keepLink } from "./share-links.js";

// A link that is pasted into this very page changes the fragment alone.
addEventListener("hashchange", () => location.hash !== "" && void open(takeLink()));
await open(takeLink());

/** The secret of the link. It must not stay in the address bar or the history. */
function takeLink() {
  const link = new URLSearchParams(location.hash.slice(1)).get("link");
  history.replaceState(null, "", location.pathname);
  return link;
}

async function open(link) {
  tell("One moment…", []);
  if (link === null) {
    tell("There is no link here", [el("p", {}, "Open the address again as it was given to you, all of it.")]);
    return;
  }
  try {
    const shared = await call("POST", "/links/redeem", { link });
    keepLink(shared);
    goOn(shared);
  } catch (error) {
    if (error.status === 401) {
      tell("This link does not work any more", [
        el("p", {}, "It has ended or was taken back, or its address is not whole. Ask whoever gave it to you."),
      ]);
    } else failed(error, link);
  }
}

/** To the one page that it leads to, or to a choice of several. */
function goOn({ task, services }) {
  const pages = services.filter(({ protocol, url }) => protocol === "http" && url !== null && isWebAddress(url));
  const [first, second] = pages;
  if (first !== undefined && second === undefined && services.length === 1) {
    location.replace(first.url);
    return;
  }
  const programs = services.filter((service) => !pages.includes(service)).map(({ name }) => name);
  tell(task, [
    el("p", {}, "Somebody shared this with you."),
    programs.length > 0 && el("p", { class: "muted" }, `For programs alone: ${programs.join(", ")}.`),
  ]);
  offer(...pages.map(({ name, url }) => el("a", { class: "button primary", href: url }, `Open ${name}`)));
}

function failed(error, link) {
  tell("That did not work", [el("p", { class: "bad" }, error.message)]);
  const again = () => void open(link);
  offer(el("button", { type: "button", class: "button primary", onClick: again }, "Try again"));
}

function tell(title, message) {
  byId("title").textContent = title;
  byId("message").replaceChildren(...message.filter(Boolean));
  byId("choices").hidden = true;
}

function offer(...choices) {
  byId("choices").replaceChildren(...choices);
  byId("choices").hidden = choices.length === 0;
}
