import { createHash } from "node:crypto";
import type { HeaderFields, RequestHead } from "../model/index.ts";
import { http } from "../platform/node-http.ts";
import { proxyStatus } from "./proxy-status.ts";

/** Marks answers that are the gate's own. */
export const ERROR_HEADER = "x-taskgate-error";

/** Something that the gate itself says to a visitor. */
export interface Notice {
  readonly status: number;
  /** Stable, for programs. */
  readonly code: string;
  readonly title: string;
  readonly message: string;
  /** Last lines of a log. */
  readonly lines?: readonly string[];
  readonly retryAfterSeconds?: number;
  /** For gRPC clients, where it is not the one that the HTTP status stands for. */
  readonly grpcStatus?: number;
  /** WWW-Authenticate. */
  readonly challenge?: string;
  /** Names the request in the gate's logs, and to the job. */
  readonly requestId?: string;
  /** More fields of the answer. */
  readonly respond?: HeaderFields;
}

export type Form = "html" | "text" | "json" | "grpc";

export interface Rendered {
  readonly status: number;
  readonly fields: readonly string[];
  readonly body: string;
}

/** What a visitor asks for: gRPC by its content type; JSON by Accept or as a script's request; a page where text/html is accepted. */
export function formFor(head: RequestHead, version: string): Form {
  if (version === "2" && (head.header("content-type") ?? "").startsWith("application/grpc")) return "grpc";
  if (head.method === "CONNECT") return "json";
  const accept = head.header("accept") ?? "";
  if (head.header("x-requested-with")?.toLowerCase() === "xmlhttprequest") return "json";
  if (accept.includes("text/html")) return "html";
  return /application\/([a-z.+-]+\+)?json/i.test(accept) ? "json" : "text";
}

const TYPES = {
  html: "text/html; charset=utf-8",
  text: "text/plain; charset=utf-8",
  json: "application/json",
} as const;

/** Renders a notice. It is marked as the gate's own, and nobody may keep it. */
export function renderNotice(notice: Notice, form: Form): Rendered {
  const fields = [ERROR_HEADER, notice.code, "proxy-status", proxyStatus(notice), "cache-control", "no-store"];
  if (notice.requestId !== undefined) fields.push("x-request-id", notice.requestId);
  if (notice.challenge !== undefined) fields.push("www-authenticate", notice.challenge);
  if (notice.retryAfterSeconds !== undefined) fields.push("retry-after", String(notice.retryAfterSeconds));
  for (const [name, value] of notice.respond ?? []) fields.push(name, value);
  if (form === "grpc") return renderGrpc(notice, fields);
  const body = form === "html" ? renderHtml(notice) : form === "json" ? renderJson(notice) : renderText(notice);
  fields.push("content-type", TYPES[form], "content-length", String(Buffer.byteLength(body)));
  fields.push("x-content-type-options", "nosniff", "x-robots-tag", "noindex");
  if (form === "html") fields.push("content-security-policy", POLICY, "referrer-policy", "no-referrer");
  return { status: notice.status, fields, body };
}

/** From an HTTP status, as gRPC's own mapping for foreign answers has it; 16, 7 and 14 are what its clients act on. */
function grpcStatus(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
    case 501:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

function renderGrpc(notice: Notice, fields: string[]): Rendered {
  // Percent-encoded but for printable ASCII (gRPC over HTTP/2, "Status-Message").
  const text = `${notice.title}: ${notice.message}`.toWellFormed();
  const message = text.replace(/[^ -$&-~]+/g, (part) => encodeURIComponent(part));
  fields.push(
    "content-type",
    "application/grpc",
    "grpc-status",
    String(notice.grpcStatus ?? grpcStatus(notice.status)),
  );
  fields.push("grpc-message", message);
  return { status: 200, fields, body: "" };
}

function renderJson({ code, message, lines, requestId }: Notice): string {
  return `${JSON.stringify({ error: { code, message, lines, requestId } })}\n`;
}

function renderText({ title, message, lines }: Notice): string {
  return `${[`${title}. ${message}`, ...(lines ?? []).map((line) => `  ${printable(line)}`)].join("\n")}\n`;
}

/** Log lines are a job's words: no terminal may take them for commands. */
function printable(line: string): string {
  return line.replace(/\p{Cc}/gu, (char) => (char === "\t" ? char : "\ufffd"));
}

const STYLE =
  "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:15vh auto 0;padding:0 1.25rem;color:#1c2024;background:#fff}" +
  "h1{font-size:1.5rem;margin:0 0 .5rem}p{margin:0 0 1rem}small{color:#5b6570}" +
  "pre{background:#f2f4f6;padding:.75rem 1rem;overflow:auto;border-radius:6px;font-size:.85rem}" +
  "@media(prefers-color-scheme:dark){body{color:#e6e8ea;background:#14171a}pre{background:#22272c}small{color:#9aa4ae}}";
const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");
const POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'`;

function renderHtml(notice: Notice): string {
  const { status, code, title, message, lines, retryAfterSeconds, requestId } = notice;
  const refresh =
    code === "starting" && retryAfterSeconds !== undefined
      ? `<meta http-equiv="refresh" content="${String(retryAfterSeconds)}">`
      : "";
  const log =
    lines === undefined || lines.length === 0
      ? ""
      : `<h2>Last lines of its log</h2><pre tabindex="0">${escape(lines.join("\n"))}</pre>`;
  const request = requestId === undefined ? "" : ` &middot; request <code>${escape(requestId)}</code>`;
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<meta name="robots" content="noindex">${refresh}<title>${escape(title)}</title><style>${STYLE}</style></head>` +
    `<body><main><h1>${escape(title)}</h1><p>${sentences(message)}</p>${log}` +
    `<p><small>${String(status)} ${escape(http().STATUS_CODES[status] ?? "")} &middot; ${escape(code)} &middot; taskgate${request}</small></p>` +
    `</main></body></html>\n`
  );
}

/** What is to be typed stands between backticks. */
function sentences(message: string): string {
  return escape(message).replace(/`([^`]+)`/g, "<code>$1</code>");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? "");
}
