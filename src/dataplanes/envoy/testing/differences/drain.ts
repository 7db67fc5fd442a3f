import http, { type ServerResponse } from "node:http";
import { expect } from "vitest";
import type { Differences } from "../../../contract/plane-test.ts";
import { startHttpApp } from "../../../testing/apps.ts";
import { ask } from "../../../testing/clients.ts";
import { until } from "../../../testing/rig.ts";
import { HOST, serving } from "./serving.ts";

/** How Envoy leaves. */
export const DRAIN_DIFFERENCES: Differences = {
  "drains: takes nothing new, lets what runs finish, and cuts the rest at the deadline": {
    why: "ends idle connections with the last of the others",
    async instead(start) {
      const held: ServerResponse[] = [];
      await using app = await startHttpApp((req, res) => {
        if (req.url === "/now") res.end("now");
        else held.push(res);
      });
      await using rig = await serving(start, app);
      const idle = new http.Agent({ keepAlive: true });
      await ask(rig.port, HOST, { path: "/now", agent: idle });
      const outcomes = [1, 2].map(() => ask(rig.port, HOST).then(({ body }) => body).catch(() => "cut")); // prettier-ignore
      await until(() => held.length === 2);
      const draining = rig.plane.drain(Date.now() + 2000);
      while (await takesMore(rig.port));
      held[0]?.end("finished");
      expect(await Promise.race(outcomes)).toBe("finished");
      await draining;
      expect((await Promise.all(outcomes)).toSorted()).toEqual(["cut", "finished"]);
      await until(() => Object.keys(idle.freeSockets).length === 0);
    },
  },
};

async function takesMore(port: number): Promise<boolean> {
  return ask(port, HOST, { path: "/now" }).then(
    () => true,
    () => false,
  );
}
