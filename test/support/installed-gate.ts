import { request } from "node:http";
import { text } from "node:stream/consumers";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Answer, Ask } from "./gate.ts";

/** taskgate as Helm installed it: what answers at its Service, or at one of its pods, for whoever a token is of. */
export class InstalledGate {
  readonly address: string;
  readonly port: number;
  readonly #token: string;

  constructor(address: string, port: number, token: string) {
    this.address = address;
    this.port = port;
    this.#token = token;
  }

  token(): string {
    return this.#token;
  }

  file(): { readonly gateHost: string; readonly address: string; readonly port: number } {
    return { gateHost: "taskgate.localhost", address: this.address, port: this.port };
  }

  /** One request by a connection of its own. Rejects where nobody answers within five seconds. */
  async ask(
    host: string,
    path: string,
    { method = "GET", headers, body, anonymous = false }: Ask = {},
  ): Promise<Answer> {
    const login = anonymous ? {} : { "x-taskgate-authorization": `Bearer ${this.#token}` };
    const asked = request({
      ...{ host: this.address, port: this.port, method, path, agent: false, signal: AbortSignal.timeout(5000) },
      headers: { host: `${host}:${String(this.port)}`, ...login, ...headers },
    });
    const [answer] = (await once(asked.end(body), "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: await text(answer) };
  }
}
