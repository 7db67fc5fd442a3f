import type { Duplex } from "node:stream";
import { renderNotice, type Notice } from "../../pages.ts";
import { fieldsText, statusLine } from "./say.ts";

const LINGER_MS = 1000;

/** Writes one last answer by hand, to who has no exchange. */
export function sayGoodbye(socket: Duplex, notice: Notice): void {
  const { status, fields, body } = renderNotice(notice, "text");
  socket.write(`${statusLine(status, "")}Connection: close\r\n${fieldsText(fields)}\r\n${body}`);
  sendOff(socket);
}

/** Ends a connection so that what was written arrives: reads on for a moment, because unread bytes would turn the end into a reset. */
export function sendOff(socket: Duplex): void {
  socket.end();
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("end", () => socket.destroy());
  socket.once("close", () => clearTimeout(timer));
}
