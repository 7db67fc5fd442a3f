import { expect } from "vitest";
import type { Differences } from "../../../contract/plane-test.ts";
import { echo, startHttpApp } from "../../../testing/apps.ts";
import { RawClient, valuesOf, type Echo } from "../../../testing/clients.ts";
import { until } from "../../../testing/rig.ts";
import { byHost } from "../../../testing/table-builder.ts";
import { HOST, serving } from "./serving.ts";

/** What Envoy takes that the embedded plane refuses: a job still sees one request, and it is the one that was decided about. */
export const REQUEST_DIFFERENCES: Differences = {
  "refuses a target that disagrees with Host with 400, and no job hears of it": {
    why: "goes by the target, as RFC 9112 §3.2.2 has it",
    async instead(start) {
      await using app = await startHttpApp(echo);
      await using other = await startHttpApp(echo);
      await using rig = await serving(start, app);
      const matches = [byHost("other.localhost")];
      rig.table.service({ key: "local/other/web", matches, endpoints: [other.address] });
      await rig.publish();
      const asked: string[] = [];
      const { checking } = rig.gatekeeper;
      rig.gatekeeper.checking = (route, head) => {
        asked.push(`${route.service} ${head.host} ${head.path}`);
        return checking(route, head);
      };
      const seen = await echoOf(rig.port, `GET http://other.localhost/x?y HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      expect(seen.url).toBe("/x?y");
      expect(valuesOf(seen.rawHeaders, "host")).toEqual(["other.localhost"]);
      expect(asked).toEqual(["local/other/web other.localhost /x?y"]);
      using lost = await RawClient.connect(rig.port, `GET http://nobody.localhost/ HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
      await until(() => lost.received.includes("\r\n\r\n"));
      expect(lost.received).toMatch(/^HTTP\/1\.1 404 /);
      expect(app.connections()).toBe(0);
    },
  },

  "takes out of trailers what says who is asking, however it is spelled": {
    why: "writes the names of fields in lower case",
    async instead(start) {
      await using app = await startHttpApp(echo);
      await using rig = await serving(start, app);
      const forged = ["Remote-User", "X_Webauth_User", "remote.user", "X-Taskgate-User", "Cookie", "Authorization"];
      const trailers = [...forged, "X-Sum"].map((name) => `${name}: x\r\n`).join("");
      const head = `POST / HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      expect((await echoOf(rig.port, `${head}0\r\n${trailers}\r\n`)).rawTrailers).toEqual(["x-sum", "x"]);
    },
  },

  "refuses versions that are none, and transfer codings in HTTP/1.0, and ends such a connection": {
    why: "takes a version that it does not know for HTTP/1.0, and chunks in that; the job gets HTTP/1.1",
    async instead(start) {
      await using app = await startHttpApp(echo);
      await using rig = await serving(start, app);
      const keep = `Host: ${HOST}\r\nConnection: keep-alive\r\n`;
      using old = await RawClient.connect(rig.port, `GET /\r\n${keep}\r\n`);
      await until(() => old.ended);
      expect(old.received).toMatch(/^HTTP\/1\.0 400 /);
      const unknown = await echoOf(rig.port, `GET / HTTP/2.0\r\n${keep}\r\n`);
      expect(valuesOf(unknown.rawHeaders, "host")).toEqual([HOST]);
      const chunked = `POST / HTTP/1.0\r\n${keep}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
      const seen = await echoOf(rig.port, chunked);
      expect(seen.body).toBe("abc");
      expect(valuesOf(seen.rawHeaders, "transfer-encoding")).toEqual(["chunked"]);
      expect(valuesOf(seen.rawHeaders, "content-length")).toEqual([]);
    },
  },
};

async function echoOf(port: number, bytes: string): Promise<Echo> {
  using client = await RawClient.connect(port, bytes);
  await until(() => client.received.endsWith("}") || client.received.endsWith("0\r\n\r\n"));
  return echoIn(client.received);
}

function echoIn(received: string): Echo {
  return JSON.parse(received.slice(received.indexOf("{"), received.lastIndexOf("}") + 1)) as Echo;
}
