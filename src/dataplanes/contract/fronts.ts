import { describe, expect } from "vitest";
import type { RequestHead } from "../../model/index.ts";
import { echo, startHttpApp } from "../testing/apps.ts";
import { ask, echoed, RawClient } from "../testing/clients.ts";
import { type PlaneOptions, startRig, until, type Rig } from "../testing/rig.ts";
import { byHost } from "../testing/table-builder.ts";
import { ALLOW } from "../testing/test-gatekeeper.ts";
import type { PlaneSuite } from "./plane-test.ts";

const KEY = "local/nb/web";
const HOST = "nb.localhost";
/** This machine is a front, whose visitors speak TLS. */
const FRONTED = { frontFrom: ["127.0.0.0/8"], public: { secure: true, port: 443 } };

/** Somebody else's ingress that ends TLS before the gate: whom it asks for, and who else may say so. */
export function describeFronts({ name, start, test }: PlaneSuite): void {
  const serving = async (options: Partial<PlaneOptions>): Promise<Rig & { readonly heads: RequestHead[] }> => {
    const app = await startHttpApp(echo);
    const rig = await startRig(start, options);
    const heads: RequestHead[] = [];
    rig.gatekeeper.checking = () => ({ kind: "ask" });
    rig.gatekeeper.admitting = (_route, head) => {
      heads.push(head);
      return Promise.resolve(ALLOW);
    };
    rig.table.service({ key: KEY, matches: [byHost(HOST)], endpoints: [app.address] });
    await rig.publish();
    return {
      ...rig,
      heads,
      async [Symbol.asyncDispose]() {
        await rig[Symbol.asyncDispose]();
        await app[Symbol.asyncDispose]();
      },
    };
  };

  describe(`${name} data plane: fronts`, () => {
    test.each([
      ["the last that it names", "6.6.6.6, 192.0.2.7", 1, "192.0.2.7"],
      ["be it a front's own address", "6.6.6.6, 127.0.0.9", 1, "127.0.0.9"],
      ["by IPv6, too", "6.6.6.6,2001:db8::7", 1, "2001:db8::7"],
      ["the last but one where two stand one behind the other", "6.6.6.6, 192.0.2.7, 127.0.0.9", 2, "192.0.2.7"],
      ["itself where it names nobody", null, 1, "127.0.0.1"],
      ["itself where it names too few", "192.0.2.7", 2, "127.0.0.1"],
      ["itself where what it says is no address", "192.0.2.7, unknown", 1, "127.0.0.1"],
    ])("ask for somebody: %s", async (_what, chain, frontHops, visitor) => {
      await using rig = await serving({ ...FRONTED, frontHops });
      const said = { "x-forwarded-proto": "https", "x-taskgate-front": "6.6.6.6", "x-real-ip": "6.6.6.6" };
      const headers = { ...said, ...(chain !== null && { "x-forwarded-for": chain }), forwarded: "for=6.6.6.6" };
      const seen = echoed(await ask(rig.port, HOST, { headers }));
      expect(seen.all("x-forwarded-for")).toEqual([visitor]);
      expect(seen.all("x-forwarded-proto")).toEqual(["https"]);
      expect(seen.all("x-forwarded-port")).toEqual(["443"]);
      expect(seen.all("x-taskgate-front")).toEqual(["127.0.0.1"]);
      expect(seen.all("x-real-ip")).toEqual([]);
      expect(seen.all("forwarded")).toHaveLength(1);
      expect(seen.header("forwarded")).toContain(visitor);
      expect(rig.heads[0]).toMatchObject({ peer: visitor, front: "127.0.0.1", secure: true });
      await until(() => rig.gatekeeper.seen.length === 1);
      expect(rig.gatekeeper.seen[0]?.use.peer).toBe(visitor);
    });

    test("are who the administrator says: what all others claim counts for nothing", async () => {
      await using rig = await serving({ ...FRONTED, frontFrom: ["192.0.2.0/24", "2001:db8::/32"] });
      const headers = {
        ...{ "x-forwarded-for": "192.0.2.7", "x-forwarded-proto": "http", "x-taskgate-front": "192.0.2.1" },
        ...{ "x-tg-front-proto": "http", "X-Taskgate_Front": "192.0.2.1" },
      };
      const reply = await ask(rig.port, HOST, { headers });
      expect(reply.status).toBe(200);
      const seen = echoed(reply);
      expect(seen.all("x-forwarded-for")).toEqual(["127.0.0.1"]);
      expect(seen.all("x-forwarded-proto")).toEqual(["https"]);
      expect(seen.rawHeaders.filter((name) => /taskgate.front/i.test(name))).toEqual([]);
      expect([rig.heads[0]?.peer, rig.heads[0]?.front]).toEqual(["127.0.0.1", undefined]);
    });

    test.each([
      ["http", 308],
      ["https, http", 308],
      ["HTTP", 308],
      ["http, https", 200],
      ["https", 200],
      [null, 200],
    ])("whose visitor came by %s: a page is answered %i", async (proto, status) => {
      await using rig = await serving({ ...FRONTED, public: { secure: true, port: 8443 } });
      const headers = { "x-forwarded-for": "192.0.2.7", ...(proto !== null && { "x-forwarded-proto": proto }) };
      const reply = await ask(rig.port, HOST, { path: "/lab?a=b%2F", headers });
      expect(reply.status).toBe(status);
      if (status !== 308) return;
      expect(reply.headers.location).toBe(`https://${HOST}:8443/lab?a=b%2F`);
      expect(rig.heads).toEqual([]);
    });

    test("whose visitor came without TLS: nothing that it sent is taken", async () => {
      await using rig = await serving(FRONTED);
      const headers = { "x-forwarded-proto": "http", authorization: "Bearer tg_x" };
      const reply = await ask(rig.port, HOST, { method: "POST", headers, body: "x=1" });
      expect(reply.status).toBe(400);
      expect(reply.body).toContain("https");
      using tunnel = await RawClient.connect(rig.port);
      tunnel.send(`CONNECT ${HOST}:80 HTTP/1.1\r\nHost: ${HOST}:80\r\nX-Forwarded-Proto: http\r\n\r\n`);
      await until(() => tunnel.received.includes("\r\n\r\n"));
      expect(tunnel.received).toContain(" 400 ");
      expect(rig.heads).toEqual([]);
    });
  });
}
