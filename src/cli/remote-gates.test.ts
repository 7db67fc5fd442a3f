import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { homeAt, type Home } from "../config/home.ts";
import { Secret } from "../platform/secret.ts";
import { connectionOf } from "./connection.ts";
import { currentRemote, forgetRemote, gateAt, keepRemote, readRemote } from "./remote-gates.ts";

let home: Home;
beforeEach(() => {
  home = homeAt({ TASKGATE_HOME: mkdtempSync(join(tmpdir(), "tg-remote-")) });
});
afterEach(() => rmSync(home.directory, { recursive: true }));

function logInTo(url: string, token = "tg_abc"): void {
  const who = { realm: "corp", principal: "alice", id: "abcdefghijkl", expiresAt: null };
  keepRemote(home, { gate: gateAt(url), token: new Secret(token), ...who });
}

test("an address is https, or http on this very machine", () => {
  expect(gateAt("https://taskgate.example.com/x?y")).toMatchObject({
    ...{ url: "https://taskgate.example.com", gateHost: "taskgate.example.com", port: 443, secure: true },
    address: "taskgate.example.com",
  });
  expect(gateAt("http://taskgate.localhost:7080")).toMatchObject({ address: "127.0.0.1", port: 7080, secure: false });
  for (const address of [
    "http://taskgate.example.com",
    "taskgate.example.com",
    "",
    "file:///etc",
    "http://evillocalhost",
  ]) {
    expect(() => gateAt(address), address).toThrow("no address of a gate");
  }
});

test("a login is kept for its owner alone, one file for each gate, and shown by none", () => {
  logInTo("https://a.example.com");
  logInTo("https://a.example.com:8443", "tg_other");
  for (const name of readdirSync(home.remotes)) expect(statSync(join(home.remotes, name)).mode & 0o777).toBe(0o600);
  expect(readRemote(home, "https://a.example.com")?.token.reveal()).toBe("tg_abc");
  expect(readRemote(home, "https://a.example.com:8443")?.token.reveal()).toBe("tg_other");
  expect(readRemote(home, "https://b.example.com")).toBeNull();
  expect(JSON.stringify(currentRemote(home))).not.toContain("tg_other");
});

test("a command is for the gate that is named; else for the folder's own where there ever was one; else for the last", () => {
  const urlFor = (environment: Record<string, string>) => connectionOf(home, environment).gate.url;
  expect(() => urlFor({})).toThrow("no gate runs");
  logInTo("https://a.example.com");
  logInTo("https://b.example.com");
  expect(urlFor({})).toBe("https://b.example.com");
  expect(urlFor({ TASKGATE_GATE: "https://a.example.com" })).toBe("https://a.example.com");
  expect(() => urlFor({ TASKGATE_GATE: "https://c.example.com" })).toThrow("not logged in to https://c.example.com");
  const given = { TASKGATE_GATE: "https://c.example.com", TASKGATE_TOKEN: "tg_given" };
  expect(connectionOf(home, given).token.reveal()).toBe("tg_given");
  writeFileSync(home.database, "");
  expect(() => urlFor({})).toThrow("no gate runs");
  expect(urlFor({ TASKGATE_GATE: "https://b.example.com" })).toBe("https://b.example.com");
});

test("a login that is forgotten is the current one no more", () => {
  logInTo("https://a.example.com");
  const login = currentRemote(home);
  if (login === null) throw new Error("expected a login");
  forgetRemote(home, login);
  expect(currentRemote(home)).toBeNull();
  expect(readdirSync(home.remotes)).toEqual([]);
});
