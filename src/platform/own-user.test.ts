import { userInfo } from "node:os";
import { expect, test } from "vitest";
import { ownUserName } from "./own-user.ts";

test("names the user of this process, and one that no list of users has by its number", () => {
  expect(ownUserName()).toBe(userInfo().username);
  const unknown = (): never => {
    throw new Error("uv_os_get_passwd returned ENOENT");
  };
  expect(ownUserName(unknown)).toBe(`uid-${String(process.getuid?.())}`);
});
