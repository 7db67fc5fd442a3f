import { once } from "node:events";
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect } from "vitest";
import type { PlaneSuite } from "./plane-test.ts";
import { startHttpApp } from "../testing/apps.ts";
import { startHttp2Job, type Http2Job } from "../testing/http2-job.ts";
import { startRig, until, type Rig } from "../testing/rig.ts";
import { byHost } from "../testing/table-builder.ts";

const HOST = "rpc.localhost";
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;

/** Calls to jobs that speak HTTP/2: deadlines, early words, and the sessions that carry them. */
export function describeGrpcSessions({ name, start, test }: PlaneSuite): void {
  const serving = async (
    job: Pick<Http2Job, "address">,
    options: Parameters<typeof startRig>[1] = {},
  ): Promise<Rig> => {
    const rig = await startRig(start, options);
    const matches = [byHost(HOST)];
    rig.table.service({ key: "local/rpc/api", protocol: "grpc", matches, endpoints: [job.address] });
    await rig.publish();
    return rig;
  };
  const visit = (rig: Rig) => {
    const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
    session.on("error", () => undefined);
    return {
      call(path: string, more: http2.OutgoingHttpHeaders = {}, body = true) {
        const base = { ":method": "POST", ":path": path, ":authority": HOST, "content-type": "application/grpc" };
        const stream = session.request({ ...base, ...more }, { endStream: !body });
        stream.on("error", () => undefined);
        return stream;
      },
      [Symbol.dispose]: () => session.destroy(),
    };
  };

  describe(`${name} data plane: calls and their sessions`, () => {
    test("ends a call whose deadline passed, though the job does not, before an answer and in the midst of one", async () => {
      const codes: number[] = [];
      await using job = await startHttp2Job((stream, path) => {
        stream.once("close", () => codes.push(stream.rstCode));
        if (path === "/begun") stream.respond({ ":status": 200 }, { waitForTrailers: true });
      });
      await using rig = await serving(job);
      using visitor = visit(rig);
      const silent = visitor.call("/silent", { "grpc-timeout": "150m" }, false);
      const [head] = (await once(silent, "response")) as [IncomingHttpHeaders];
      expect([head[":status"], head["grpc-status"]]).toEqual([200, "4"]);
      const begun = visitor.call("/begun", { "grpc-timeout": "150m" }, false);
      begun.resume();
      const [trailers] = (await once(begun, "trailers")) as [IncomingHttpHeaders];
      expect(trailers["grpc-status"]).toBe("4");
      await until(() => codes.length === 2 && rig.gatekeeper.open.length === 0);
      expect(codes).toEqual([NGHTTP2_CANCEL, NGHTTP2_CANCEL]);
    });

    test("opens more sessions where one takes no more streams, up to its bound; then calls wait, and not for ever", async () => {
      const held: ServerHttp2Stream[] = [];
      await using job = await startHttp2Job((stream) => {
        stream.respond({ ":status": 200 });
        held.push(stream);
      }, 2);
      await using rig = await serving(job, { limits: { upstreamSessions: 2, connectTime: 1000 } });
      using visitor = visit(rig);
      for (let count = 0; count < 4; count += 1) visitor.call("/hold", {}, false);
      await until(() => held.length === 4);
      expect(job.sessions.size).toBe(2);
      const waiting = visitor.call("/waits", {}, false);
      await sleep(200);
      expect(held.length).toBe(4);
      held[0]?.end();
      await until(() => held.length === 5);
      waiting.close(NGHTTP2_CANCEL);
      await until(() => rig.gatekeeper.open.length === 3);
      visitor.call("/next", {}, false);
      await until(() => held.length === 6);
      const late = visitor.call("/late", {}, false);
      const [head] = (await once(late, "response")) as [IncomingHttpHeaders];
      expect(head["grpc-status"]).toBe("14");
      expect(job.sessions.size).toBe(2);
    });

    test("asks again where a job says that it did not look, once, and else says so to the visitor", async () => {
      let refusals = 1;
      let asked = 0;
      await using job = await startHttp2Job((stream) => {
        asked += 1;
        if (refusals > 0) {
          refusals -= 1;
          stream.close(NGHTTP2_REFUSED_STREAM);
        } else stream.respond({ ":status": 200, "grpc-status": "0" }, { endStream: true });
      });
      await using rig = await serving(job);
      using visitor = visit(rig);
      const again = visitor.call("/", {}, false);
      const [head] = (await once(again, "response")) as [IncomingHttpHeaders];
      expect([head["grpc-status"], asked]).toEqual(["0", 2]);
      refusals = 1;
      const sent = visitor.call("/");
      sent.end("a body, which is gone by then");
      await until(() => sent.closed);
      expect([sent.rstCode, asked]).toEqual([NGHTTP2_REFUSED_STREAM, 3]);
    });

    test("passes early words on to visitors of HTTP/2, from jobs of either protocol, and trailers", async () => {
      await using job = await startHttp2Job((stream) => {
        stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
        stream.respond({ ":status": 200 }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1" }));
        stream.end("done");
      });
      await using old = await startHttpApp((_req, res) => {
        res.writeEarlyHints({ link: "</a.css>; rel=preload" });
        res.end("done");
      });
      await using rig = await serving(job);
      rig.table.service({ key: "local/old/web", matches: [byHost("old.localhost")], endpoints: [old.address] });
      await rig.publish();
      using visitor = visit(rig);
      for (const authority of [HOST, "old.localhost"]) {
        const stream = visitor.call("/", { ":authority": authority }, false);
        const [early] = (await once(stream, "headers")) as [IncomingHttpHeaders];
        expect([early[":status"], early.link], authority).toEqual([103, "</a.css>; rel=preload"]);
        let trailers: IncomingHttpHeaders = {};
        stream.once("trailers", (headers: IncomingHttpHeaders) => (trailers = headers));
        let text = "";
        for await (const part of stream as AsyncIterable<Buffer>) text += part.toString();
        expect(text).toBe("done");
        expect(trailers["x-sum"]).toBe(authority === HOST ? "1" : undefined);
      }
    });
  });
}
