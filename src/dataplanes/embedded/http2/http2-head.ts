import type { RequestHead } from "../../../model/index.ts";
import { askerOf, type Client } from "../client.ts";
import type { Fields } from "../exchange.ts";
import type { RequestRead } from "./read-request.ts";

/** The head of a request as it was read: names are in lower case already. */
export class Http2Head implements RequestHead {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly peer: string;
  readonly front: string | undefined;
  readonly secure: boolean;
  readonly repeated: object | undefined;
  readonly #fields: Fields;

  /** `fields`: of its upgrade, where it asks for one. */
  constructor(read: RequestRead, fields: Fields, client: Client) {
    const { method, protocol, target } = read;
    // What is asked of a job by extended CONNECT is what GET would ask of it.
    this.method = fields === read.fields || protocol === null ? method : "GET";
    this.host = target.ok ? target.host : "";
    this.path = target.ok ? target.path : "/";
    this.secure = client.secure;
    this.repeated = read.repeated && fields === read.fields ? read : undefined;
    this.#fields = fields;
    const { peer, front } = askerOf(client, (name) => this.header(name));
    this.peer = peer;
    this.front = front;
  }

  header(name: string): string | undefined {
    const fields = this.#fields;
    let found: string | undefined;
    for (let at = 0; at + 1 < fields.length; at += 2) {
      if (fields[at] !== name) continue;
      const value = fields[at + 1] ?? "";
      found = found === undefined ? value : `${found}${name === "cookie" ? "; " : ", "}${value}`;
    }
    return found;
  }

  *names(): Iterable<string> {
    for (let at = 0; at < this.#fields.length; at += 2) yield this.#fields[at] ?? "";
  }
}
