import { expect } from "vitest";
import { watchHealth } from "../../../contract/health.ts";
import type { Difference, Differences } from "../../../contract/plane-test.ts";
import { tossIds } from "../../../contract/sticky.ts";
import { askUnusable, type UpstreamTls, verifyTask } from "../../../contract/upstream-tls.ts";
import { echo, freePort, startHttpApp } from "../../../testing/apps.ts";
import { ask, echoed } from "../../../testing/clients.ts";
import { startRig } from "../../../testing/rig.ts";
import { selfSigned } from "../../../testing/self-signed.ts";
import { byHost, byPort } from "../../../testing/table-builder.ts";
import { HOST, KEY } from "./serving.ts";

const UNREACHABLE =
  "says of a job whose TLS fails, or that takes too long to connect to, what it says of one that is not there";
const TASK = "task.internal";
const PEM = selfSigned([TASK]);
const authority = PEM.certificate;

/** Which task is believed, and what it is told. */
export const TASK_DIFFERENCES: Differences = {
  "verifies the task: full": unverified({ verify: "full", serverName: TASK }),
  "verifies the task: full, by another name": unverified({ verify: "full", serverName: "x.internal", authority }),
  "verifies the task: full, by its address": unverified({ verify: "full", authority }),
  "verifies the task: authority, another": unverified({
    verify: "authority",
    authority: selfSigned([TASK]).certificate,
  }),

  "says what cannot be used, and what speaks no TLS or nothing at all": {
    why: UNREACHABLE,
    async instead(start) {
      expect(await askUnusable(start)).toEqual([502, 502, 502]);
    },
  },

  "asks about health actively where it is told to, in HTTP, TCP and gRPC": {
    why: "asks about the health of raw services that have a port or a server name, as those with a host alone are dialled by tunnels",
    instead: async (start) => watchHealth(start, byPort(await freePort())),
  },

  "takes forged and foreign ids for none": {
    why: "goes by the first of several cookies of a name",
    async instead(start) {
      expect(await tossIds(start)).toEqual({ behind: true, before: false });
    },
  },

  "shows a job that checks for it its own address as Host and Origin, and nobody else": {
    why: "tells such a job of the gate's own origin that it is the job's, whatever Host says, and leaves no path in Referer",
    async instead(start) {
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/go") res.writeHead(302, { location: `http://${own}/lab?x` }).end();
        else echo(req, res);
      });
      const own = `localhost:${String(app.address.port)}`;
      await using rig = await startRig(start);
      rig.table.service({ key: KEY, policy: { rewriteHost: true }, matches: [byHost(HOST)], endpoints: [app.address] });
      await rig.publish();
      const host = `${HOST}:${String(rig.site.port)}`;
      const headers = { origin: `http://${host}`, referer: `http://${host}/lab?x` };
      const seen = echoed(await ask(rig.port, host, { headers }));
      expect(["host", "origin", "referer", "x-forwarded-host"].map((field) => seen.header(field))).toEqual([
        own,
        `http://${own}`,
        `http://${own}/`,
        host,
      ]);
      for (const origin of ["http://evil.localhost", `http://${HOST}:1`]) {
        expect(echoed(await ask(rig.port, host, { headers: { origin } })).header("origin")).toBe(origin);
      }
      expect((await ask(rig.port, host, { path: "/go" })).headers.location).toBe(`http://${host}/lab?x`);
    },
  },
};

/** Of a task that is not believed. */
function unverified(upstreamTls: UpstreamTls): Difference {
  return {
    why: UNREACHABLE,
    async instead(start) {
      const reached = await verifyTask(start, PEM, upstreamTls);
      expect(reached).toEqual({ status: 502, explained: ["connect_failed"], asked: 0 });
    },
  };
}
