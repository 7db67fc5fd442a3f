import { readFile, readdir } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { parse, stringify } from "yaml";
import type { Greeting, Page } from "./ask-port.ts";
import { parseCommandLine } from "./command-line.ts";
import type { Recognised } from "./discover.ts";
import { KNOWN_PROGRAMS } from "./known-programs.ts";
import { recognisePort } from "./recognise.ts";

/** A program as it was met: `NAME.in.yaml` holds what there was to see, `NAME.out.yaml` what it was taken for. */
interface RecordedCase {
  readonly about: string;
  readonly command: readonly string[];
  readonly port: number;
  readonly spawned?: boolean;
  /** null: it accepts no connection. */
  readonly greeting: Greeting | null;
  readonly pages?: Readonly<Record<string, Page>>;
}

const TESTDATA = new URL("testdata/", import.meta.url);
const names = (await readdir(TESTDATA)).filter((name) => name.endsWith(".in.yaml")).map((name) => name.slice(0, -8));

async function casesOf(name: string): Promise<readonly RecordedCase[]> {
  return parse(await readFile(new URL(`${name}.in.yaml`, TESTDATA), "utf8")) as readonly RecordedCase[];
}

function recognise(recorded: RecordedCase, asked: string[] = []): Promise<Recognised | null> {
  const { command, port, spawned = false, greeting, pages = {} } = recorded;
  return recognisePort(
    { port, command: parseCommandLine(command), spawned },
    {
      open: () => Promise.resolve(greeting !== null),
      greet() {
        asked.push("greeting");
        return Promise.resolve(greeting);
      },
      page(path) {
        asked.push(path);
        return Promise.resolve(pages[path] ?? null);
      },
    },
  );
}

describe("known programs", () => {
  test.each(names)("takes %s for what it is", async (name) => {
    const results: Record<string, Recognised | null> = {};
    for (const recorded of await casesOf(name)) results[recorded.about] = await recognise(recorded);
    await expect(stringify(results)).toMatchFileSnapshot(new URL(`${name}.out.yaml`, TESTDATA).pathname);
  });

  test("has a recorded case for every row, and no answer without its question", async () => {
    const outputs = (await readdir(TESTDATA))
      .filter((name) => name.endsWith(".out.yaml"))
      .map((name) => name.slice(0, -9));
    expect(outputs.sort()).toEqual([...names].sort());
    expect(names.filter((name) => name !== "unknown").sort()).toEqual(KNOWN_PROGRAMS.map((row) => row.id).sort());
  });

  test("names every row and service as a DNS label, so that hosts can be made of it", () => {
    const services = KNOWN_PROGRAMS.flatMap((row) => [row.id, ...row.ports.map((port) => port.service)]);
    for (const service of services) expect(service).toMatch(/^[a-z][a-z0-9-]{0,30}$/);
    expect(new Set(KNOWN_PROGRAMS.map((row) => row.id)).size).toBe(KNOWN_PROGRAMS.length);
  });

  test("never sends a byte to programs that take it amiss", async () => {
    const asked: string[] = [];
    for (const name of ["sshd", "postgresql", "mysql", "redis", "mongodb"]) {
      for (const recorded of await casesOf(name)) await recognise(recorded, asked);
    }
    expect(asked).toEqual([]);
  });

  test("asks for no page where the command line tells enough", async () => {
    const asked: string[] = [];
    for (const name of ["jupyter-lab", "voila", "tensorboard"]) {
      const [first] = await casesOf(name);
      await recognise(first!, asked);
    }
    expect(new Set(asked)).toEqual(new Set(["greeting"]));
  });
});
