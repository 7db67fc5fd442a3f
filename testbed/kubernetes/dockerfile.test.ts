import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { TASKGATE_SETTINGS } from "./images.ts";
import { TASKGATE_FILES } from "./image-contents.ts";

type Instruction = readonly [name: string, rest: string];

/** What a Dockerfile says, by stage, its lines joined. */
function stagesOf(text: string): readonly (readonly Instruction[])[] {
  const stages: Instruction[][] = [[]];
  for (const line of text.replaceAll(/\\\n\s*/g, "").split("\n")) {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (name === "FROM") stages.push([]);
    stages.at(-1)!.push([name, rest!]);
  }
  return stages;
}

/** The build file makes the image that people have, and the testbed the one that tests do: what is shown of one holds for the other. */
describe("the image's build file", () => {
  const [, build = [], image = []] = stagesOf(readFileSync("Dockerfile", "utf8"));
  const said = (name: string): readonly string[] => image.flatMap(([one, rest]) => (one === name ? [rest] : []));

  test("starts the same program as the testbed's image does, as the same user, who is not root", () => {
    const { entrypoint, user, environment } = TASKGATE_SETTINGS;
    expect(said("ENTRYPOINT").map((text): unknown => JSON.parse(text))).toEqual([entrypoint]);
    expect(said("USER")).toEqual([`${user}:${user}`]);
    expect(user).not.toBe("0");
    expect(said("ENV").join(" ").split(" ")).toEqual(expect.arrayContaining(environment.filter((one) => !one.startsWith("PATH=")))); // prettier-ignore
    expect(said("CMD")).toEqual(['["up", "--quiet"]']);
    expect(said("STOPSIGNAL")).toEqual(["SIGTERM"]);
  });

  test("holds what the testbed's does, built, and nothing of what it was built with", () => {
    expect(said("RUN")).toEqual([]);
    expect(said("COPY")).toEqual(["--from=build /image/ /"]);
    const runs = build.flatMap(([name, rest]) => (name === "RUN" ? [rest] : []));
    const [, moved = ""] = /mv (.*?) \/image\/opt\/taskgate\//.exec(runs.join("\n")) ?? [];
    const files = [...TASKGATE_FILES.map((file) => (file === "src" ? "dist" : file)), "LICENSE", "node_modules"];
    expect(moved.split(" ").sort()).toEqual(files.sort());
    expect(runs.findIndex((run) => run.includes("prune --omit=dev"))).toBeLessThan(runs.findIndex((run) => run.includes("mv bin"))); // prettier-ignore
  });

  test("sends the builder what it builds from, and neither state nor secrets that lie about", () => {
    const [all, ...sent] = readFileSync(".dockerignore", "utf8").trim().split("\n");
    expect(all).toBe("*");
    const needed = ["LICENSE", "bin", "package-lock.json", "package.json", "scripts", "src", "tsconfig.build.json", "tsconfig.json", "ui"]; // prettier-ignore
    expect(sent.map((line) => line.replace(/^!/, "")).sort()).toEqual(needed);
  });
});
