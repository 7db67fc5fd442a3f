import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Clock } from "../clock.ts";
import { execCredentials } from "./exec-credentials.ts";

const API_VERSION = "client.authentication.k8s.io/v1";
const { signal } = new AbortController();

/** A plugin that counts its runs, and says what `answer` writes. */
async function plugin(answer: string, env: Readonly<Record<string, string>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "taskgate-exec-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const command = join(folder, "plugin");
  const runs = join(folder, "runs");
  await writeFile(command, `#!/bin/sh\necho run >> ${runs}\n${answer}\n`);
  await chmod(command, 0o755);
  let now = Date.parse("2027-01-01T00:00:00Z");
  const clock: Clock = { now: () => now, after: () => ({ [Symbol.dispose]: () => undefined }) };
  return {
    credentials: execCredentials({ apiVersion: API_VERSION, command, args: ["an argument"], env }, clock),
    runs: async () => (await readFile(runs, "utf8")).split("\n").length - 1,
    pass: (ms: number) => (now += ms),
  };
}

function says(status: Readonly<Record<string, string>>, apiVersion = API_VERSION): string {
  return `cat <<'END'\n${JSON.stringify({ apiVersion, kind: "ExecCredential", status })}\nEND`;
}

describe("credential plugin", () => {
  test("is run once for all that ask at the same time, and again when what it gave ends", async () => {
    const { credentials, runs, pass } = await plugin(
      says({ token: "secret-1", expirationTimestamp: "2027-01-01T01:00:00Z" }),
    );
    const [one, two] = await Promise.all([credentials.get(signal), credentials.get(signal)]);
    expect(one).toBe(two);
    expect(one.authorization?.reveal()).toBe("Bearer secret-1");
    await credentials.get(signal);
    expect(await runs()).toBe(1);
    pass(3_595_000);
    await credentials.get(signal);
    expect(await runs()).toBe(2);
  });

  test("is run again once what it gave was refused, and once for all who were refused", async () => {
    const { credentials, runs } = await plugin(says({ token: "secret-1" }));
    const old = await credentials.get(signal);
    credentials.refused(old);
    const next = await credentials.get(signal);
    credentials.refused(old);
    expect(await credentials.get(signal)).toBe(next);
    expect(await runs()).toBe(2);
  });

  test("gets its arguments, environment and what is asked of it, and may give a certificate", async () => {
    const { credentials } = await plugin(
      `[ "$1" = "an argument" ] && [ "$MINE" = "here" ] || exit 3\n` +
        `case "$KUBERNETES_EXEC_INFO" in *'"interactive":false'*) ;; *) exit 4;; esac\n` +
        says({ clientCertificateData: "CHAIN", clientKeyData: "KEY" }),
      { MINE: "here" },
    );
    const { certificate, authorization } = await credentials.get(signal);
    expect([certificate?.chain, certificate?.key.reveal(), authorization]).toEqual(["CHAIN", "KEY", undefined]);
  });

  test.each([
    ["fails, and says why with a secret", "echo secret-2; echo secret-3 >&2; exit 7", "ended with code 7"],
    ["says no JSON", "echo secret-2", "gave no ExecCredential"],
    ["gives nothing", says({}), "gave no ExecCredential"],
    ["gives a certificate without a key", says({ clientCertificateData: "secret-2" }), "gave no ExecCredential"],
    [
      "speaks another version",
      says({ token: "secret-2" }, "client.authentication.k8s.io/v1beta1"),
      "did not answer in",
    ],
    ["says more than it may", "head -c 3000000 /dev/zero", "said more than"],
  ])("that %s is unavailable, and nothing that it said is repeated", async (_what, answer, message) => {
    const { credentials } = await plugin(answer);
    const error = await credentials.get(signal).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "unavailable", message: expect.stringContaining(message) as string });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("secret");
  });

  test("that is not there is unavailable", async () => {
    const missing = execCredentials(
      { apiVersion: API_VERSION, command: "/nonexistent/plugin", args: [], env: {} },
      { now: () => 0, after: () => ({ [Symbol.dispose]: () => undefined }) },
    );
    await expect(missing.get(signal)).rejects.toThrow("the credential plugin /nonexistent/plugin is not there");
  });
});
