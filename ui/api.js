import { readLogin } from "./login-store.js";

const PREFIX = "/.taskgate/api/v1";
/** The gate says something every 15 s; silent for longer, the stream is dead. */
const SILENCE_MS = 40_000;

/** An answer that is a failure. `status` 0: there was no answer at all. */
export class ApiError extends Error {
  constructor(status, code, message, options) {
    super(message, options);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

/** Sends one request with the kept login (or `token`), and resolves with what was answered as JSON. Throws ApiError. */
export async function call(method, path, body, token) {
  const response = await send(path, {
    method,
    token,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  return response.status === 204 ? undefined : response.json();
}

/** POSTs without a login of the page's, but with what the browser itself adds: a Kerberos ticket, once the gate asks for one. */
export async function postAsBrowser(path) {
  const post = () => send(path, { method: "POST", token: null, credentials: "same-origin" });
  const response = await post().catch((error) => {
    // Chromium lets the first challenge since it was started pass: by the next one it has Kerberos at hand (test/kerberos.test.ts).
    if (error.status === 401) return post();
    throw error;
  });
  return response.json();
}

/** The path of a task's operation. */
export function taskPath(id, rest = "") {
  return `/tasks/${encodeURIComponent(id)}${rest}`;
}

/** Calls `onText` with text as it comes. Resolves at its end; throws ApiError, or the signal's reason. */
export async function readText(path, onText, signal) {
  const response = await send(path, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) onText(part.value);
  } catch (error) {
    signal.throwIfAborted();
    throw new ApiError(0, "cut", "The connection broke off.", { cause: error });
  }
}

/** Calls `onEvent` with each live event. Resolves when the gate ends the stream; throws ApiError, or the signal's reason. */
export async function readEvents(onEvent, signal) {
  const silence = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  let rest = "";
  heard();
  try {
    await readText(
      "/events",
      (text) => {
        heard();
        const blocks = (rest + text).split("\n\n");
        rest = blocks.pop();
        for (const block of blocks) {
          const data = block.split("\n").find((line) => line.startsWith("data: "));
          if (data !== undefined) onEvent(JSON.parse(data.slice("data: ".length)));
        }
      },
      AbortSignal.any([signal, silence.signal]),
    );
  } finally {
    clearTimeout(timer);
  }
}

/** `token`: null for none; absent for the kept login's. */
async function send(path, { method = "GET", token, headers, body, signal, credentials = "omit" }) {
  const bearer = token === undefined ? readLogin()?.token : token;
  let response;
  try {
    response = await fetch(PREFIX + path, {
      method,
      body,
      signal,
      headers: { ...headers, ...(bearer == null ? {} : { authorization: `Bearer ${bearer}` }) },
      cache: "no-store",
      credentials,
      redirect: "error",
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ApiError(0, "unreachable", "The gate does not answer.", { cause });
  }
  if (response.ok) return response;
  throw await failureOf(response);
}

async function failureOf(response) {
  try {
    const { error } = await response.json();
    return new ApiError(response.status, error.code, error.message);
  } catch {
    // Something between here and the gate answered, in words of its own.
    return new ApiError(response.status, "unknown", `The gate answered ${response.status}.`);
  }
}
