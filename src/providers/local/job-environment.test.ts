import { expect, test } from "vitest";
import { jobEnvironment, replicaEnvironment, strangersEnvironment } from "./job-environment.ts";

const ROOT = "/opt/taskgate";
const PLACE = { task: "nb", replica: "1", ports: [5001, 5002], declared: true };

test("takes out what npm and our own scripts put in, and every variable of the gate's but its home", () => {
  const caller = {
    HOME: "/home/ada",
    npm_config_cache: "x",
    npm_package_json: `${ROOT}/package.json`,
    npm_execpath: "/usr/lib/npm.js",
    INIT_CWD: "/x",
    NODE: "/usr/bin/node",
    COLOR: "1",
    EDITOR: "vi",
    NODE_COMPILE_CACHE: "/x",
    TASKGATE_TOKEN: "secret",
    TASKGATE_HOME: "/home/ada/.taskgate",
    taskgate_token: "secret",
  };
  expect(jobEnvironment(caller, ROOT)).toEqual({ HOME: "/home/ada", TASKGATE_HOME: "/home/ada/.taskgate" });
});

test("gives a job of another user nothing of the caller's but how to find programs and how to talk", () => {
  const caller = { PATH: "/bin", LANG: "C", LC_ALL: "C", TZ: "UTC", AWS_SECRET_ACCESS_KEY: "x", SSH_AUTH_SOCK: "/a" };
  const inherited = { ...caller, LD_PRELOAD: "/x.so", XDG_RUNTIME_DIR: "/run/user/0", PATHOLOGY: "x" };
  expect(strangersEnvironment(inherited)).toEqual({ PATH: "/bin", LANG: "C", LC_ALL: "C", TZ: "UTC" });
});

test("leaves variables that only npm's presence makes npm's", () => {
  const caller = { EDITOR: "vi", NODE: "mine", COLOR: "1", INIT_CWD: "mine" };
  expect(jobEnvironment(caller, ROOT)).toEqual(caller);
});

test.each([
  // npm start in our checkout
  [
    `${ROOT}/node_modules/.bin:/opt/node_modules/.bin:/node_modules/.bin:/usr/lib/npm/node-gyp-bin:/usr/bin:/bin`,
    `${ROOT}/package.json`,
    "/usr/bin:/bin",
  ],
  // our own start-up in front of a plain shell's PATH
  [`${ROOT}/node_modules/node/bin:${ROOT}/node_modules/.bin:/usr/bin`, undefined, "/usr/bin"],
  // the owner's own npm script, whose tools the job needs
  [
    `/home/ada/app/node_modules/.bin:/usr/bin`,
    "/home/ada/app/package.json",
    "/home/ada/app/node_modules/.bin:/usr/bin",
  ],
  // entries that npm did not put in front
  [
    `${ROOT}/node_modules/.bin:/usr/bin:/home/ada/node_modules/.bin`,
    `${ROOT}/package.json`,
    "/usr/bin:/home/ada/node_modules/.bin",
  ],
])("makes of the PATH %s under npm's %s the PATH %s", (path, npm, wanted) => {
  const caller = { PATH: path, ...(npm === undefined ? {} : { npm_package_json: npm }) };
  expect(jobEnvironment(caller, ROOT).PATH).toBe(wanted);
});

test("tells a replica who it is and its ports", () => {
  expect(replicaEnvironment({ PORT: "80", A: "b" }, PLACE)).toEqual({
    A: "b",
    PYTHONUNBUFFERED: "1",
    PORT: "5001",
    TASKGATE_PORT_0: "5001",
    TASKGATE_PORT_1: "5002",
    TASKGATE_TASK: "nb",
    TASKGATE_REPLICA: "1",
  });
});

test("leaves the caller's own PORT where no service is declared, and lends one otherwise", () => {
  const place = { ...PLACE, ports: [5001], declared: false };
  expect(replicaEnvironment({ PORT: "3000" }, place)).toMatchObject({ PORT: "3000", TASKGATE_PORT_0: "5001" });
  expect(replicaEnvironment({}, place)).toMatchObject({ PORT: "5001" });
});

test("leaves the caller's own choice of buffering", () => {
  expect(replicaEnvironment({ PYTHONUNBUFFERED: "" }, PLACE)).toMatchObject({ PYTHONUNBUFFERED: "" });
});
