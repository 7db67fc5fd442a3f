import type { Decision, HeaderFields } from "../../model/index.ts";
import type { Exchange, Fields } from "./exchange.ts";
import { formFor, renderNotice, type Notice } from "../pages.ts";

/** Answers with the gate's own words, in the form that was asked for. Does nothing once an answer is on its way. */
export function answerNotice(exchange: Exchange, notice: Notice, requestId: string): void {
  const { status, fields, body } = renderNotice({ ...notice, requestId }, formFor(exchange.head, exchange.version));
  answerWhole(exchange, { status, fields, body });
}

/** Sends a visitor elsewhere, as the gatekeeper says. */
export function answerRedirect(
  exchange: Exchange,
  { location, respond }: Omit<Extract<Decision, { kind: "redirect" }>, "kind">,
  status?: 308,
): void {
  const safe = exchange.head.method === "GET" || exchange.head.method === "HEAD";
  const fields = ["location", location, "cache-control", "no-store", "content-length", "0"];
  for (const [name, value] of respond) fields.push(name, value);
  answerWhole(exchange, { status: status ?? (safe ? 302 : 303), fields, body: "" });
}

/** Answers with fields alone. */
export function answerEmpty(exchange: Exchange, { respond }: { readonly respond: HeaderFields }): void {
  answerWhole(exchange, { status: 204, fields: respond.flat(), body: "" });
}

function answerWhole(exchange: Exchange, answer: { status: number; fields: Fields; body: string }): void {
  if (exchange.begun || exchange.left) return;
  const { status, fields, body } = answer;
  const bodiless = body === "" || exchange.head.method === "HEAD";
  exchange.begin({ status, message: "", fields, only: bodiless });
  if (!bodiless) exchange.write(Buffer.from(body));
  exchange.finish([]);
  exchange.discard();
}
