import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestPlane } from "../src/dataplanes/embedded/testing/start-plane.ts";
import { startTestEnvoy } from "../src/dataplanes/envoy/testing/start-envoy-plane.ts";
import { startHttpApp, type App } from "../src/dataplanes/testing/apps.ts";
import { startRig, type Rig, type StartPlane } from "../src/dataplanes/testing/rig.ts";
import { selfSigned } from "../src/dataplanes/testing/self-signed.ts";
import { byHost } from "../src/dataplanes/testing/table-builder.ts";
import { writePem } from "../src/dataplanes/testing/write-pem.ts";
import { cleanEnvironment, run } from "./support/gate.ts";

/** vitest.config.ts leaves this suite out where there is none. */
const NAMED = process.env.TASKGATE_H2SPEC ?? "";
const H2SPEC = NAMED === "" ? "h2spec" : NAMED;

const CASES = 145;
let app: App;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tg-h2spec-"));
  app = await startHttpApp((req, res) => {
    req.resume();
    req.once("end", () => res.end("an answer of some length"));
  });
});
afterAll(async () => {
  await app[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function serve(
  start: StartPlane,
  tls: { readonly certificate: string; readonly key: string } | null,
): Promise<Rig> {
  const rig = await startRig(start, { tls });
  rig.table.service({ key: "local/nb/web", matches: [byHost("127.0.0.1")], endpoints: [app.address] });
  await rig.publish();
  return rig;
}

/** Every case, and whether it passed. */
async function play(port: number, tls: boolean): Promise<ReadonlyMap<string, boolean>> {
  const report = join(folder, `${String(port)}.xml`);
  const flags = [
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    "--junit-report",
    report,
    ...(tls ? ["--tls", "--insecure"] : []),
  ];
  await run(H2SPEC, flags, cleanEnvironment());
  const text = readFileSync(report, "latin1");
  const cases = text.matchAll(/<testcase package="([^"]*)" classname="([^"]*)"[^>]*>([\s\S]*?)<\/testcase>/g);
  return new Map(
    [...cases].map(([, section = "", title = "", body = ""]) => [`${section} ${title}`, body.trim() === ""]),
  );
}

/**
 * What Envoy's codec does otherwise, whatever its configuration. It lets go of a stream that is over, and passes over what still comes for it
 * and priorities, which RFC 9113 has given up; it ends a connection without the frame that the case waits for; and after a GOAWAY it answers
 * no PING. None of it lets a visitor say what another did not.
 */
const OF_ENVOY: readonly string[] = [
  "generic/3.8 Sends a GOAWAY frame",
  "http2/5.1 closed: Sends a DATA frame",
  "http2/5.1 closed: Sends a DATA frame after sending RST_STREAM frame",
  "http2/5.1 closed: Sends a HEADERS frame",
  "http2/5.1 closed: Sends a HEADERS frame after sending RST_STREAM frame",
  "http2/5.1.1 Sends stream identifier that is numerically smaller than previous",
  "http2/5.3.1 Sends PRIORITY frame that depend on itself",
  "http2/6.3 Sends a PRIORITY frame with 0x0 stream identifier",
  "http2/6.9.1 Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1",
  "http2/6.9.1 Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream",
  "http2/7 Sends a GOAWAY frame with unknown error code",
];
/** Without TLS, what does not begin as HTTP/2 may be HTTP/1.1, and is answered as that. */
const OF_ENVOY_IN_THE_CLEAR = [...OF_ENVOY, "http2/3.5 Sends invalid connection preface"];

type Case = readonly [
  plane: string,
  entrance: "prior knowledge" | "TLS",
  start: StartPlane,
  failing: readonly string[],
];
const PLAYED: readonly Case[] = [
  ["the gate's own plane", "prior knowledge", startTestPlane, []],
  ["the gate's own plane", "TLS", startTestPlane, []],
  ["Envoy", "prior knowledge", startTestEnvoy, OF_ENVOY_IN_THE_CLEAR],
  ["Envoy", "TLS", startTestEnvoy, OF_ENVOY],
];

describe("h2spec", () => {
  test.each(PLAYED)("through %s, %s: every case but those listed", async (_plane, entrance, start, failing) => {
    await using files = entrance === "TLS" ? await writePem(selfSigned(["127.0.0.1"])) : null;
    await using rig = await serve(start, files);
    const played = await play(rig.port, files !== null);
    expect(played.size).toBe(CASES);
    const failed = [...played].filter(([, passed]) => !passed).map(([title]) => title);
    expect(failed.toSorted()).toEqual(failing.toSorted());
  });
});
