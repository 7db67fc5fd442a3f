import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestPlane } from "../src/dataplanes/embedded/testing/start-plane.ts";
import { startHttpApp, type App } from "../src/dataplanes/testing/apps.ts";
import { startRig, type Rig } from "../src/dataplanes/testing/rig.ts";
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

async function serve(tls: { readonly certificate: string; readonly key: string } | null): Promise<Rig> {
  const rig = await startRig(startTestPlane, { tls });
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

describe("h2spec", () => {
  test.each(["prior knowledge", "TLS"])("%s: every case", async (entrance) => {
    await using files = entrance === "TLS" ? await writePem(selfSigned(["127.0.0.1"])) : null;
    await using rig = await serve(files);
    const played = await play(rig.port, files !== null);
    expect(played.size).toBe(CASES);
    const failed = [...played].filter(([, passed]) => !passed).map(([title]) => title);
    expect(failed).toEqual([]);
  });
});
