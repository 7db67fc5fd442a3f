import { request } from "node:http";
import type { GateFile } from "../../src/config/home.ts";
import type { TestGate } from "./gate.ts";

/** A whole gate, or something that stands for one. */
type Way = Pick<TestGate, "ask" | "token"> & { file(): Pick<GateFile, "gateHost" | "address" | "port"> };

const PAGE = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };

/** The way of a browser whose login page holds `token`: to the service, to the gate, back with a code. Gives the session's cookie, NAME=VALUE. */
export async function enter(gate: Way, host: string, token = gate.token(), path = "/"): Promise<string> {
  const sent = await gate.ask(host, path, { anonymous: true, headers: PAGE });
  if (sent.status !== 302) throw new Error(`expected a redirect to the login: ${String(sent.status)} ${sent.body}`);
  const asked = Object.fromEntries(new URL(sent.headers.location ?? "").searchParams);
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const visit = await gate.ask(gate.file().gateHost, "/.taskgate/api/v1/visits", {
    ...{ method: "POST", headers, anonymous: true, body: JSON.stringify(asked) },
  });
  const { pathname, search } = new URL((JSON.parse(visit.body) as { location: string }).location);
  const cookie = cookiesOf(sent.headers["set-cookie"]).join("; ");
  const back = await gate.ask(host, pathname + search, { anonymous: true, headers: { ...PAGE, cookie } });
  const session = cookiesOf(back.headers["set-cookie"]).find((each) => each.includes("taskgate-session"));
  if (session === undefined) throw new Error(`no session: ${String(back.status)} ${back.body}`);
  return session;
}

function cookiesOf(fields: readonly string[] = []): readonly string[] {
  return fields.map((field) => field.split(";")[0] ?? "").filter((pair) => !pair.endsWith("="));
}

export interface OpenSocket extends Disposable {
  /** When it ended, in ms of this process. */
  readonly ended: Promise<number>;
}

/** A WebSocket by hand, told when it ends. */
export function openSocket(gate: Way, host: string, cookie: string): Promise<OpenSocket> {
  const { port, address } = gate.file();
  const headers = {
    ...{ host: `${host}:${String(port)}`, cookie, origin: `http://${host}:${String(port)}` },
    ...{ connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" },
    "sec-websocket-key": Buffer.alloc(16).toString("base64"),
  };
  return new Promise((resolve, reject) => {
    const sent = request({ host: address, port, path: "/ws", headers });
    sent.on("response", (answer) => reject(new Error(`no WebSocket: ${String(answer.statusCode)}`)));
    sent.on("error", reject);
    sent.on("upgrade", (_answer, socket) => {
      socket.on("error", () => undefined).resume();
      const ended = new Promise<number>((over) => socket.once("close", () => over(performance.now())));
      resolve({ ended, [Symbol.dispose]: () => socket.destroy() });
    });
    sent.end();
  });
}
