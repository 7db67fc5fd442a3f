import { systemClock } from "../../../../platform/clock.ts";
import { ProcessLink } from "../../../../platform/process-link.ts";
import { ACCEPT } from "../messages.ts";

// A process in the acceptor's place that does as its tickets say. It tells its process id as the client's name.
const link = new ProcessLink(
  {
    send: (message) => void process.send?.(message, undefined, {}, () => undefined),
    receive: (take) => void process.on("message", take),
  },
  systemClock,
);
link.answer(ACCEPT, async ({ ticket }) => {
  if (ticket === "crash") process.exit(3);
  if (ticket === "hang") for (;;); // as C code does: nothing else goes on
  if (ticket === "keytab") return Promise.resolve({ kind: "refused", reason: process.env.KRB5_KTNAME ?? "" });
  return Promise.resolve({ kind: "accepted", client: String(process.pid), answer: null });
});
process.once("disconnect", () => process.exit());
