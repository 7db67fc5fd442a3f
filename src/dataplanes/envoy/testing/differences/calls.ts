import { once } from "node:events";
import http2, { type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { expect } from "vitest";
import type { Differences } from "../../../contract/plane-test.ts";
import { startHttp2Job, type Http2Job } from "../../../testing/http2-job.ts";
import { startRig, until, type Rig, type StartPlane } from "../../../testing/rig.ts";
import { byHost } from "../../../testing/table-builder.ts";
import { HOST, KEY } from "./serving.ts";

const { NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;

/** Calls to jobs that speak HTTP/2. */
export const CALL_DIFFERENCES: Differences = {
  "ends a call whose deadline passed, though the job does not, before an answer and in the midst of one": {
    why: "breaks off a call whose deadline passes in the midst of its answer, without a status",
    async instead(start) {
      const codes: number[] = [];
      await using job = await startHttp2Job((stream, path) => {
        stream.once("close", () => codes.push(stream.rstCode));
        if (path === "/begun") stream.respond({ ":status": 200 });
      });
      await using rig = await calling(start, job);
      using visitor = visit(rig);
      const silent = visitor.call("/silent", { "grpc-timeout": "150m" });
      const [head] = (await once(silent, "response")) as [IncomingHttpHeaders];
      expect([head[":status"], head["grpc-status"]]).toEqual([200, "4"]);
      const begun = visitor.call("/begun", { "grpc-timeout": "150m" });
      begun.resume();
      await until(() => begun.closed);
      expect(begun.rstCode).not.toBe(NGHTTP2_NO_ERROR);
      await until(() => codes.length === 2 && rig.gatekeeper.open.length === 0);
      expect(codes).not.toContain(NGHTTP2_NO_ERROR);
    },
  },

  "opens more sessions where one takes no more streams, up to its bound; then calls wait, and not for ever": {
    why: "opens as many connections to a job as its calls need",
    async instead(start) {
      const held: ServerHttp2Stream[] = [];
      await using job = await startHttp2Job((stream) => {
        stream.respond({ ":status": 200 });
        held.push(stream);
      }, 2);
      await using rig = await calling(start, job, { limits: { upstreamSessions: 2 } });
      using visitor = visit(rig);
      for (let count = 1; count <= 6; count += 1) {
        visitor.call("/hold");
        await until(() => held.length === count);
      }
      expect(job.sessions.size).toBeGreaterThanOrEqual(3);
    },
  },

  "asks again where a job says that it did not look, once, and else says so to the visitor": {
    why: "asks again with the body too where it still has that, as often as endpoints may be tried",
    async instead(start) {
      let refusals = 1;
      const asked: string[] = [];
      await using job = await startHttp2Job((stream) => {
        let body = "";
        stream.on("data", (chunk: Buffer) => (body += chunk.toString()));
        if (refusals > 0) {
          refusals -= 1;
          stream.close(NGHTTP2_REFUSED_STREAM);
        } else {
          stream.on("end", () => {
            asked.push(body);
            stream.respond({ ":status": 200, "grpc-status": "0" }, { endStream: true });
          });
        }
      });
      await using rig = await calling(start, job);
      using visitor = visit(rig);
      for (const body of ["", "a body"]) {
        refusals = 1;
        const again = visitor.call("/");
        again.end(body);
        const [head] = (await once(again, "response")) as [IncomingHttpHeaders];
        expect(head["grpc-status"]).toBe("0");
      }
      expect(asked).toEqual(["", "a body"]);
    },
  },
};

async function calling(
  start: StartPlane,
  job: Pick<Http2Job, "address">,
  options: Parameters<typeof startRig>[1] = {},
): Promise<Rig> {
  const rig = await startRig(start, options);
  rig.table.service({ key: KEY, protocol: "grpc", matches: [byHost(HOST)], endpoints: [job.address] });
  await rig.publish();
  return rig;
}

function visit(rig: Rig) {
  const session = http2.connect(`http://127.0.0.1:${String(rig.port)}`);
  session.on("error", () => undefined);
  return {
    call(path: string, more: http2.OutgoingHttpHeaders = {}) {
      const head = { ":method": "POST", ":path": path, ":authority": HOST, "content-type": "application/grpc" };
      const stream = session.request({ ...head, ...more }, { endStream: false });
      stream.on("error", () => undefined);
      return stream;
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}
