import { expect, test } from "vitest";
import { matchKey, type Match } from "./route.ts";

test("a match has one spelling, pinned because claims are stored under it", () => {
  const spelled: [Match, string][] = [
    [{ by: "host", listener: "main", host: "nb.localhost" }, "host main nb.localhost"],
    [
      { by: "path", listener: "main", host: "paths.localhost", prefix: "/nb/", strip: true },
      "path main paths.localhost /nb/",
    ],
    [{ by: "headers", listener: "main", all: [["x-id", "a b"]] }, 'headers main [["x-id","a b"]]'],
    [{ by: "serverName", listener: "main", name: "daskgateway-x" }, "serverName main daskgateway-x"],
    [{ by: "port", port: 20_000 }, "port 20000"],
  ];
  for (const [match, key] of spelled) expect(matchKey(match)).toBe(key);
});

test("different matches are spelled differently, whatever their values hold", () => {
  const listeners = ["a", "a b", "a%20b", "a%2520b", ""];
  const values = ["h", "h /x", "h/x", "b h", "%", "/x", "h /x/y", ""];
  const keys = new Map<string, string>();
  const note = (match: Match) => {
    const key = matchKey(match);
    const content = JSON.stringify(match);
    expect(keys.get(key) ?? content).toBe(content);
    keys.set(key, content);
  };
  for (const listener of listeners)
    for (const value of values) {
      note({ by: "host", listener, host: value });
      note({ by: "serverName", listener, name: value });
      note({ by: "headers", listener, all: [["x", value]] });
      for (const prefix of values) {
        note({ by: "path", listener, host: value, prefix, strip: false });
        note({
          by: "headers",
          listener,
          all: [
            ["x", value],
            [prefix, "y"],
          ],
        });
      }
    }
});

test("a path is the same name whether its prefix is stripped or not", () => {
  const path = { by: "path", listener: "main", host: "p", prefix: "/a/" } as const;
  expect(matchKey({ ...path, strip: true })).toBe(matchKey({ ...path, strip: false }));
});
