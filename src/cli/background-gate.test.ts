import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../platform/package-info.ts";
import { EXIT } from "./failure.ts";
import { temporaryHome } from "./testing/fake-gate.ts";
import { runCli } from "./testing/run-cli.ts";

test("a gate that cannot start in the background is told with its own words, and its log is for its owner alone", async () => {
  using home = temporaryHome();
  const environment = {
    TASKGATE_HOME: home.directory,
    TASKGATE_TOKEN: "tg_secret",
    TASKGATE_LISTEN_ADDRESS: "nowhere",
    XDG_CACHE_HOME: join(packageRoot, "node_modules", ".cache"),
  };
  const result = await runCli({ words: ["run", "--", "true"], environment });
  expect(result).toMatchObject({ exitCode: EXIT.failure, stdout: "" });
  expect(result.stderr).toContain(`TASKGATE_LISTEN_ADDRESS: listen.address: expected IP:PORT`);
  expect(statSync(home.gateLog).mode & 0o777).toBe(0o600);
  expect(readFileSync(home.gateLog, "utf8")).not.toContain("tg_secret");
});

test.each(["listen", "admin"])("a taken port is told by its key, with the ways to another one: %s", async (section) => {
  using home = temporaryHome();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const taken = `127.0.0.1:${String((other.address() as AddressInfo).port)}`;
  const variable = `TASKGATE_${section.toUpperCase()}_ADDRESS`;
  const environment = {
    TASKGATE_HOME: home.directory,
    TASKGATE_LISTEN_ADDRESS: "127.0.0.1:0",
    TASKGATE_ADMIN_ADDRESS: "127.0.0.1:0",
    [variable]: taken,
    XDG_CACHE_HOME: join(packageRoot, "node_modules", ".cache"),
  };
  const result = await runCli({ words: ["run", "--", "true"], environment });
  other.close();
  expect(result).toMatchObject({ exitCode: EXIT.failure, stdout: "" });
  expect(result.stderr).toContain(
    `taskgate: ${section}.address: ${taken} is taken by another program\n  Try: ${variable}=`,
  );
});

test("what is wrong with the options of up is said before anything is started", async () => {
  using home = temporaryHome();
  const environment = { TASKGATE_HOME: home.directory };
  const up = (...words: string[]) => runCli({ words: ["up", "--background", ...words], environment });
  expect((await up("--listen", "0.0.0.0:8123")).stderr).toContain("is not loopback");
  expect((await up("--set", "lisen.address=1")).stderr).toContain("did you mean listen?");
  expect(await up("--set", "nothing")).toMatchObject({ exitCode: EXIT.usage });
  expect((await up("--config", "missing.yaml")).stderr).toContain("missing.yaml: cannot be read (ENOENT)");
  expect(statSync(home.gateLog, { throwIfNoEntry: false })).toBeUndefined();
});

test("a gate that listens on every address is dialled on loopback, and doctor says that it is open", async () => {
  using home = temporaryHome();
  const environment = {
    TASKGATE_HOME: home.directory,
    TASKGATE_LISTEN_ADDRESS: "0.0.0.0:0",
    TASKGATE_LISTEN_PLAIN_ON_PUBLIC_ADDRESS: "true",
    TASKGATE_ADMIN_ADDRESS: "127.0.0.1:0",
    XDG_CACHE_HOME: join(packageRoot, "node_modules", ".cache"),
  };
  const up = await runCli({ words: ["up", "--background", "--json"], environment });
  expect(JSON.parse(up.stdout)).toMatchObject({ state: "started", address: "127.0.0.1" });
  const doctor = await runCli({ words: ["doctor", "--json"], environment });
  const { stdout } = await runCli({ words: ["stop", "--gate"], environment });
  expect(stdout).toContain("is stopped");
  expect(JSON.parse(doctor.stdout)).toContainEqual(
    expect.objectContaining({
      name: "exposure",
      level: "warn",
      message: expect.stringContaining("listens on 0.0.0.0:") as string,
    }),
  );
});

test("stop --gate where none runs says so", async () => {
  using home = temporaryHome();
  const result = await runCli({ words: ["stop", "--gate"], environment: { TASKGATE_HOME: home.directory } });
  expect(result).toMatchObject({ exitCode: EXIT.noGate, stdout: "" });
});
