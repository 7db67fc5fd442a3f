import { expect, test } from "vitest";
import { callerEnvironment } from "./caller-environment.ts";

const ROOT = "/opt/taskgate";

test("keeps the caller's variables and PATH as they are", () => {
  const environment = { PATH: "/home/me/bin:/usr/bin", LANG: "C.UTF-8", NODE: "mine", EDITOR: "vi" };
  expect(callerEnvironment(environment, ROOT)).toEqual(environment);
});

test("never hands on the command line's token, nor what npm says", () => {
  const environment = {
    TASKGATE_TOKEN: "secret",
    npm_config_prefix: "/x",
    NPM_CONFIG_CACHE: "/y",
    npm_lifecycle_event: "start",
    A: "1",
  };
  expect(callerEnvironment(environment, ROOT)).toEqual({ A: "1" });
});

test("takes our own packages off the PATH, and of a caller's project nothing", () => {
  const PATH = `${ROOT}/node_modules/.bin:/home/me/project/node_modules/.bin:/usr/bin`;
  expect(callerEnvironment({ PATH, npm_package_json: "/home/me/project/package.json" }, ROOT)).toEqual({
    PATH: "/home/me/project/node_modules/.bin:/usr/bin",
  });
});

test("under our own npm, takes away all that npm added", () => {
  const environment = {
    npm_package_json: `${ROOT}/package.json`,
    npm_node_execpath: "/usr/bin/node",
    npm_config_editor: "vi",
    PATH: `${ROOT}/node_modules/.bin:/opt/node_modules/.bin:/node_modules/.bin:/usr/lib/node_modules/npm/node_modules/@npmcli/run-script/lib/node-gyp-bin:/usr/bin`,
    NODE: "/usr/bin/node",
    EDITOR: "vi",
    COLOR: "0",
    INIT_CWD: ROOT,
    HOME: "/home/me",
  };
  expect(callerEnvironment(environment, ROOT)).toEqual({ PATH: "/usr/bin", HOME: "/home/me" });
});
