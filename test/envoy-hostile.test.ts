import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startTestEnvoy } from "../src/dataplanes/envoy/testing/start-envoy-plane.ts";
import { ask, RawClient } from "../src/dataplanes/testing/clients.ts";
import { startRig, type Rig } from "../src/dataplanes/testing/rig.ts";
import { ALLOW } from "../src/dataplanes/testing/test-gatekeeper.ts";
import { AND_LAST, BROKEN_BODIES, chunked, REFUSED, SMUGGLED, TAKEN } from "./support/hostile-requests.ts";
import { OK, type RawBackend, serveRaw, valueOf } from "./support/raw.ts";

/**
 * The requests of test/http1-hostile.test.ts through a real Envoy, which takes some that our own plane refuses. The promise here: whatever
 * is sent, a job hears nothing but whole requests of one meaning, each asked about by that very meaning before it came.
 */

let rig: Rig;
let backend: RawBackend;
/** What the gate was asked about: method, host and path. */
let asked: string[] = [];

beforeAll(async () => {
  rig = await startRig(startTestEnvoy);
  rig.gatekeeper.checking = (_route, { method, host, path }) => {
    asked.push(`${method} ${host} ${path}`);
    return ALLOW;
  };
});
beforeEach(async () => {
  await (backend as RawBackend | undefined)?.[Symbol.asyncDispose]();
  backend = await serveRaw(rig);
  asked = [];
});
afterAll(async () => {
  await backend[Symbol.asyncDispose]();
  await rig[Symbol.asyncDispose]();
});

/** So long a visitor waits for more where nothing says that all was said. */
const SILENCE_MS = 75;

/** Sends it; ends once the other side did, or says nothing more. */
async function exchange(bytes: string): Promise<RawClient> {
  const client = await RawClient.connect(rig.port, bytes);
  for (let before = -1; !client.over && client.received.length !== before;) {
    before = client.received.length;
    await sleep(SILENCE_MS);
  }
  return client;
}

/** Method, host and path of every request that a job heard. Fails where one of them could be read in another way. */
async function heard(): Promise<string[]> {
  expect((await ask(rig.port, "a.localhost", { path: "/control" })).body).toBe("ok"); // Envoy lives, and nothing is on its way
  const all = backend.connections.flatMap(({ raw, fault, requests }) => {
    expect([fault, raw.includes("\n\n"), /[^\r]\n/.test(requests.whole.map(({ start }) => start).join(""))]).toEqual([null, false, false]); // prettier-ignore
    // What Envoy asks again, because a job broke off, was asked about once.
    return requests.whole.filter((request) => !/^[2-9]$/.test(valueOf(request, "x-envoy-attempt-count") ?? ""));
  });
  return all.map((request) => {
    const hosts = request.fields.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host");
    expect(hosts).toHaveLength(1);
    const [method = "", path = ""] = request.start.split(" ");
    return `${method} ${valueOf(request, "host")?.toLowerCase() ?? ""} ${path}`;
  });
}

/** What was heard is what was asked about: that, and as often. */
async function expectAskedAbout(): Promise<string[]> {
  const all = await heard();
  const control = all.findIndex((one) => one.endsWith(" /control"));
  expect(control).toBeGreaterThanOrEqual(0);
  const left = [...asked];
  for (const one of all) {
    const at = left.indexOf(one);
    expect(at, `${one} among ${JSON.stringify(asked)}`).toBeGreaterThanOrEqual(0);
    left.splice(at, 1);
  }
  for (const one of all) expect(one).toMatch(/^[A-Z]+ a\.localhost(:\d+)? /);
  return all.filter((one) => !one.endsWith(" /control"));
}

/** Statuses of all answers but interim ones. */
const finals = (client: RawClient) =>
  [...client.received.matchAll(/HTTP\/1\.[01] (\d{3})/g)]
    .map(([, status]) => Number(status))
    .filter((status) => status >= 200);

describe("what our own plane refuses", () => {
  test.each(REFUSED.map(([what, bytes]) => [what, bytes] as const))("%s", async (_what, bytes) => {
    using client = await exchange(bytes + SMUGGLED);
    const all = await expectAskedAbout();
    // Every request that a job heard is one that its visitor has an answer for.
    expect(all.length).toBeLessThanOrEqual(finals(client).filter((status) => status < 400).length);
  });
});

describe("chunks that are none: what is behind them is no request unless they end as they say", () => {
  test.each(BROKEN_BODIES)("%s", async (_what, chunks) => {
    using client = await exchange(chunked(chunks) + SMUGGLED);
    const all = await expectAskedAbout();
    expect(all.length).toBeLessThanOrEqual(finals(client).filter((status) => status < 400).length);
  });
});

describe("what our own plane takes", () => {
  test.each(TAKEN.map(([what, bytes]) => [what, bytes] as const))("%s", async (_what, bytes) => {
    (await exchange(bytes + AND_LAST))[Symbol.dispose]();
    await expectAskedAbout();
  });
});

test("a request that is plain is answered, so that nothing above is for want of one", async () => {
  backend.answering = () => OK;
  using client = await exchange(AND_LAST);
  expect(finals(client)).toEqual([200]);
  expect(await expectAskedAbout()).toEqual(["GET a.localhost /last"]);
});
