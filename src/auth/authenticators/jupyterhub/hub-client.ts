import { z } from "zod";
import { GatewayError } from "../../../model/index.ts";

/** What `GET /user` of the hub's API says of a token and of whom it is; other members are not looked at. */
const HubUser = z.object({
  kind: z.enum(["user", "service"]),
  name: z.string().min(1).max(255),
  admin: z.boolean().prefault(false),
  groups: z.array(z.string().min(1)).max(10_000).prefault([]),
  scopes: z.array(z.string()).prefault([]),
  token_id: z.string().nullish(),
});
export type HubUser = z.output<typeof HubUser>;

const HubVersion = z.object({ version: z.string() });

/** RFC 6749 section 5.1. */
const TokenAnswer = z.object({
  access_token: z.string().min(1).max(4096),
  expires_in: z.number().positive().optional(),
});

/** RFC 6749 section 5.2. */
const TokenRefusal = z.object({ error: z.enum(["invalid_grant", "access_denied"]) });

/** What the hub says of somebody. Every call throws `unavailable` where the hub gives no answer that is one, and the signal's reason. */
export interface HubClient {
  /** Whether it is there: no answer is no hub. */
  greet(signal: AbortSignal): Promise<void>;
  /** null: the hub does not know this token, any more or at all. */
  whoIs(token: string, signal: AbortSignal): Promise<HubUser | null>;
  /** The token that a code of an OAuth login stands for (RFC 6749 section 4.1.3, RFC 7636); null: the hub refuses the code. */
  redeem(grant: Grant, signal: AbortSignal): Promise<Redeemed | null>;
}

export interface Redeemed {
  readonly token: string;
  /** How long it is good; absent: the hub does not say. */
  readonly lifetimeMs?: number;
}

export interface Grant {
  readonly code: string;
  readonly redirectUri: string;
  readonly verifier: string;
  readonly clientId: string;
  readonly clientSecret: string;
}

interface Request {
  readonly method?: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Largest answer that is read. */
const ANSWER_BYTES = 1_048_576;

/** `apiUrl`: of the hub's API, without the last slash. `patienceMs`: longest wait for an answer. There is nothing to close. */
export function createHubClient(hub: { readonly apiUrl: string; readonly patienceMs: number }): HubClient {
  const ask = (request: Request, signal: AbortSignal): Promise<HubAnswer> => askHub(hub, request, signal);
  return {
    async greet(signal) {
      parse(HubVersion, await ask({ path: "/" }, signal));
    },
    async whoIs(token, signal) {
      const answer = await ask({ path: "/user", headers: authorized(token) }, signal);
      // A token that is unknown, expired or revoked is nobody's: that is 403 (JupyterHub 1 to 6), 401 for what comes after.
      if (answer.status === 403 || answer.status === 401) return null;
      return parse(HubUser, answer);
    },
    async redeem({ code, redirectUri, verifier, clientId, clientSecret }, signal) {
      const body = new URLSearchParams({
        ...{ grant_type: "authorization_code", client_id: clientId, client_secret: clientSecret },
        ...{ code, redirect_uri: redirectUri, code_verifier: verifier },
      });
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const answer = await ask({ method: "POST", path: "/oauth2/token", headers, body: body.toString() }, signal);
      if (TokenRefusal.safeParse(answer.body).success) return null;
      const { access_token, expires_in } = parse(TokenAnswer, answer);
      return { token: access_token, ...(expires_in === undefined ? {} : { lifetimeMs: expires_in * 1000 }) };
    },
  };
}

function authorized(token: string): Readonly<Record<string, string>> {
  return { authorization: `token ${token}` };
}

interface HubAnswer {
  readonly status: number;
  readonly body: unknown;
}

async function askHub(
  { apiUrl, patienceMs }: { readonly apiUrl: string; readonly patienceMs: number },
  request: Request,
  signal: AbortSignal,
): Promise<HubAnswer> {
  const { method = "GET", path, headers = {}, body } = request;
  try {
    const answer = await fetch(apiUrl + path, {
      ...{ method, redirect: "error" },
      signal: AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]),
      headers: { accept: "application/json", ...headers },
      ...(body === undefined ? {} : { body }),
    });
    // Its proxy answers 404 or 503 while the hub is away: only the hub itself says no.
    if (!answer.headers.has("x-jupyterhub-version")) {
      await answer.body?.cancel();
      throw new Error(`status ${String(answer.status)}, not by a JupyterHub`);
    }
    return { status: answer.status, body: await readJson(answer) };
  } catch (error) {
    signal.throwIfAborted();
    throw new GatewayError("unavailable", "the JupyterHub gave no answer", { cause: error });
  }
}

async function readJson(answer: Response): Promise<unknown> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > ANSWER_BYTES) throw new Error("the answer is larger than 1 MiB");
  }
  return text === "" ? null : JSON.parse(text);
}

/** Anything but success with a body as it should be is no answer: never a yes, never a no. */
function parse<T>(schema: z.ZodType<T>, answer: HubAnswer): T {
  const parsed = answer.status === 200 ? schema.safeParse(answer.body) : null;
  if (parsed?.success === true) return parsed.data;
  const cause = new Error(`status ${String(answer.status)}`, { cause: parsed?.error });
  throw new GatewayError("unavailable", "the JupyterHub gave an answer that is none", { cause });
}
