import pc from "picocolors";
import { expect, test } from "vitest";
import { homeAt, type GateFile } from "../config/home.ts";
import type { ServiceView } from "../api/wire.ts";
import { serviceView, taskView } from "./testing/fake-gate.ts";
import { copyLine, describeWaysIn } from "./ways-in.ts";

const GATE: GateFile = {
  pid: 1,
  processStart: "1",
  version: "0.0.0",
  url: "http://taskgate.localhost:7080",
  gateHost: "taskgate.localhost",
  domain: "localhost",
  secure: false,
  address: "127.0.0.1",
  port: 7080,
  adminAddress: null,
};

function line(
  service: ServiceView,
  differs: { home?: string; gate?: Partial<GateFile>; environment?: Record<string, string> } = {},
): string | null {
  return copyLine(taskView("nb"), service, {
    gate: { ...GATE, ...differs.gate },
    home: homeAt({ TASKGATE_HOME: differs.home ?? "/home/me/.taskgate" }),
    environment: differs.environment ?? {},
    colors: pc.createColors(false),
  });
}

const page = serviceView("web", { url: "http://nb.localhost:7080/lab", host: "nb.localhost" });

test("a page is reached by the address, its Host and the token's file", () => {
  expect(line(page)).toBe(
    `curl -H "Host: nb.localhost" -H "Authorization: Bearer $(cat /home/me/.taskgate/token)" http://127.0.0.1:7080/lab`,
  );
});

test("the token is never in the line, whatever it comes from, and a folder's name is quoted for the shell", () => {
  expect(line(page, { environment: { TASKGATE_TOKEN: "secret" } })).toContain(
    `"Authorization: Bearer $TASKGATE_TOKEN"`,
  );
  expect(line(page, { home: "/home/o'me/a b" })).toContain(`$(cat '/home/o'\\''me/a b/token')`);
});

test("a public page needs no token; an IPv6 address stands in brackets; an odd path is left out", () => {
  expect(line({ ...page, login: false, dial: "::1", url: "http://nb.localhost:7080/a$(x)/" })).toBe(
    `curl -H "Host: nb.localhost" http://[::1]:7080/`,
  );
});

test("over TLS the URL stays, and curl is told where to connect and whom to trust", () => {
  const secure = { ...page, url: "https://nb.apps.example.com:7443/", port: 7443 };
  const gate = { secure: true, certificateFile: "/etc/gate/chain.pem" };
  expect(line({ ...secure, login: false }, { gate })).toBe(
    `curl --cacert /etc/gate/chain.pem --connect-to "::127.0.0.1:7443" "https://nb.apps.example.com:7443/"`,
  );
});

test("gRPC is asked by its authority, TCP is forwarded, and a raw port needs no line", () => {
  expect(line(serviceView("rpc", { protocol: "grpc", host: "nb.localhost", url: "http://nb.localhost:7080/" }))).toBe(
    `grpcurl -plaintext -authority nb.localhost -H "Authorization: Bearer $(cat /home/me/.taskgate/token)" 127.0.0.1:7080 list`,
  );
  expect(line(serviceView("db", { protocol: "tcp" }))).toBe("taskgate forward nb/db");
  expect(line(serviceView("db", { protocol: "tcp", url: "tcp://127.0.0.1:20000", login: false }))).toBeNull();
});

test("the log of a task is pointed at where the gate has it", () => {
  const deps = { gate: GATE, home: homeAt({ TASKGATE_HOME: "/h" }), environment: {}, colors: pc.createColors(false) };
  expect(describeWaysIn(taskView("nb"), deps)).toContain("taskgate logs -f nb");
  expect(describeWaysIn(taskView("nb", { controllable: false }), deps)).not.toContain("logs");
});

test("a task that has ended says why, and one without ports where they will show", () => {
  const deps = { gate: GATE, home: homeAt({ TASKGATE_HOME: "/h" }), environment: {}, colors: pc.createColors(false) };
  expect(describeWaysIn(taskView("nb", { state: "finished", reason: "exited with code 0" }), deps)).toBe(
    "nb has finished: exited with code 0. Its log: taskgate logs nb",
  );
  expect(describeWaysIn(taskView("nb", { services: [] }), deps)).toContain("listens on no port yet");
});
