import { ApiError, call } from "./api.js";

/** What shared links were exchanged for, kept where no other origin, port included, can read it. They are not the gate's login. */
const KEY = "taskgate.links";
/** The newest so many. */
const MAX_KEPT = 20;

/** Keeps what `POST /links/redeem` answered. A browser that keeps nothing opens the link again. */
export function keepLink({ link, token, expiresAt, services }) {
  const hosts = services.flatMap(({ url }) => (url !== null && URL.canParse(url) ? [new URL(url).host] : []));
  const others = readLinks().filter((each) => each.link !== link);
  writeLinks([{ link, token, expiresAt, hosts }, ...others].slice(0, MAX_KEPT));
}

/** Where to go on to a service's host as a visitor of one of its links; null: none of those kept leads there. Throws ApiError. */
export async function visitByLink(visit) {
  for (const { link, token } of readLinks().filter(({ hosts }) => hosts.includes(visit.host))) {
    try {
      return (await call("POST", "/visits", visit, token)).location;
    } catch (error) {
      if (!(error instanceof ApiError) || ![401, 403, 404].includes(error.status)) throw error;
      writeLinks(readLinks().filter((each) => each.link !== link));
    }
  }
  return null;
}

function readLinks() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return kept.filter((each) => typeof each.token === "string" && each.expiresAt > Date.now());
  } catch {
    // Storage that is switched off or spoiled holds no links.
    return [];
  }
}

function writeLinks(links) {
  try {
    localStorage.setItem(KEY, JSON.stringify(links));
  } catch {
    // Nothing is kept: the link works each time that it is opened, as long as this page is.
  }
}
