import { readFile, readdir } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { readTask } from "../../core/read-task.ts";
import { refuseTarget } from "../../platform/target-check.ts";
import { parseTaskFile } from "./task-file.ts";

const RULES = { allowLoopback: false, ownPorts: new Set([7080]), ownAddresses: new Set(["192.168.1.5"]) };
const CONTEXT = {
  path: "tasks.yaml",
  owner: { realm: "local", name: "owner" },
  target: (ip: string, port: number) => refuseTarget(ip, port, RULES),
};
const TESTDATA = new URL("testdata/", import.meta.url);
const inputs = (await readdir(TESTDATA)).filter((name) => name.includes(".in."));

describe("parseTaskFile", () => {
  test.each(inputs)("reads %s as recorded", async (name) => {
    const read = parseTaskFile(await readFile(new URL(name, TESTDATA), "utf8"), CONTEXT);
    const out = new URL(name.replace(/\.in\.\w+$/, ".out.yaml"), TESTDATA);
    await expect(stringify(read)).toMatchFileSnapshot(out.pathname);
  });

  test("has no recorded answer without its question", async () => {
    const outputs = (await readdir(TESTDATA)).filter((name) => name.endsWith(".out.yaml"));
    expect(outputs.sort()).toEqual(
      [...inputs.map((name) => name.replace(/\.in\.\w+$/, ".out.yaml")), "example.out.yaml"].sort(),
    );
  });

  test("reads the example without a complaint, and as the model wants it", async () => {
    const text = await readFile(new URL("../../../examples/tasks.yaml", import.meta.url), "utf8");
    const read = parseTaskFile(text, CONTEXT);
    expect(read).toMatchObject({ ok: true, problems: [] });
    if (!read.ok) throw new Error(read.message);
    expect(read.tasks.map((task) => task.name)).toEqual(["docs", "research"]);
    for (const task of read.tasks) expect(checked(task)).toEqual({ task, problems: [] });
    await expect(stringify(read)).toMatchFileSnapshot(new URL("example.out.yaml", TESTDATA).pathname);
  });

  test("keeps healthy tasks among 5,000 random bad ones, and never throws", () => {
    const healthy = { name: "healthy", services: [{ name: "web", endpoints: ["10.0.0.5:80"] }] };
    const key = fc.oneof(
      fc.constantFrom(
        "name",
        "kind",
        "owner",
        "labels",
        "access",
        "services",
        "endpoints",
        "protocol",
        "port",
        "path",
        "policy",
        "guard",
      ),
      fc.string(),
    );
    const leaf = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.ipV4().map((ip) => `${ip}:80`),
      fc.ipV6().map((ip) => `[${ip}]:80`),
      fc.constantFrom(
        "web",
        "tcp",
        "tls",
        "public",
        "__proto__",
        "constructor",
        "127.0.0.1:80",
        "[::ffff:127.0.0.1]:80",
        "auto",
      ),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.array(tie("tree"), { maxLength: 4 }),
        fc.dictionary(key, tie("tree"), { maxKeys: 6 }),
      ),
    }));
    const nearlyGood = fc
      .record({
        name: fc.constantFrom("a", "b", "A", ""),
        services: fc.array(fc.record({ name: leaf, endpoints: fc.array(leaf) }), { maxLength: 3 }),
      })
      .chain((entry) =>
        fc.tuple(fc.constant(entry), key, tree).map(([base, name, value]) => ({ ...base, [name]: value })),
      );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(tree, nearlyGood), { minLength: 2, maxLength: 3 }),
        fc.array(tree, { minLength: 2, maxLength: 2 }),
        (before, after) => {
          const text = JSON.stringify({ tasks: [...before, healthy, ...after] });
          const read = parseTaskFile(text, CONTEXT);
          if (!read.ok) throw new Error(`${read.message} in ${text}`);
          expect(read.tasks.map((task) => task.id)).toContain("healthy");
          expect(read.tasks.length + read.problems.length).toBeGreaterThanOrEqual(1);
          for (const problem of read.problems) expect(problem.subject).toMatch(/^tasks\.yaml:\d+$/);
          for (const task of read.tasks) expect(checked(task).task).not.toBeNull();
        },
      ),
      { numRuns: 1250 }, // at least four bad ones each
    );
  }, 120_000);

  test("says something of random text, and never throws", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: "binary" }),
          fc.string().map((text) => `tasks:\n  - ${text}`),
        ),
        (text) => {
          const read = parseTaskFile(text, CONTEXT);
          expect(read.ok ? read.tasks : read.message).toBeDefined();
        },
      ),
      { numRuns: 1000 },
    );
  });

  test.each([
    ["says a key twice", '"kind": "a", "kind": "b"', "kind: this key is there twice"],
    ["has a key that is none", '"labels": { "__proto__": "x" }', "labels.__proto__: unknown key"],
  ])("leaves out a task that %s, and keeps its neighbours", (_what, text, message) => {
    const services = '"services": [{ "name": "web", "endpoints": [] }]';
    const read = parseTaskFile(
      `{"tasks": [{ "name": "a", ${text}, ${services} }, { "name": "b", ${services} }]}`,
      CONTEXT,
    );
    const problem = { subject: "tasks.yaml:1", code: "task_invalid", message: `the task is left out: ${message}` };
    expect(read).toMatchObject({ ok: true, tasks: [{ id: "b" }], problems: [problem] });
  });

  test("reads very many keys in a time that grows with their number alone", () => {
    const labels = Array.from({ length: 60_000 }, (_, at) => `      label-${String(at)}: x\n`).join("");
    const text = `tasks:\n  - name: a\n    services: [{ name: web, endpoints: ["10.0.0.5:80"] }]\n    labels:\n${labels}`;
    expect(parseTaskFile(text, CONTEXT)).toMatchObject({ ok: true, problems: [] });
  });

  test("takes JSON that is indented with tabs", () => {
    const text = JSON.stringify({ tasks: [{ name: "a", services: [{ name: "web", endpoints: [] }] }] }, null, "\t");
    expect(parseTaskFile(text, CONTEXT)).toMatchObject({ ok: true, tasks: [{ id: "a" }], problems: [] });
  });

  test("takes nothing from a list that holds itself", () => {
    const read = parseTaskFile("tasks: &a [*a]", CONTEXT);
    expect(read).toMatchObject({ ok: true, tasks: [], problems: [{ subject: "tasks.yaml:1" }] });
  });

  test.each([
    ["nests without end", `tasks: ${"[".repeat(100_000)}`],
    ["nests keys without end", `${"? ".repeat(16_384)}tasks`],
    ["says its one key twice", "tasks: []\ntasks: []"],
    [
      "multiplies itself by aliases",
      `a: &a [x,x]\n${"bcdefghijk"
        .split("")
        .map((name, at) => `${name}: &${name} [*${"abcdefghij"[at]!},*${"abcdefghij"[at]!}]`)
        .join("\n")}\ntasks: [*k]`,
    ],
    [
      "multiplies itself by aliases within tasks",
      `tasks:\n - &a [x,x]\n${"bcdefghijk"
        .split("")
        .map((name, at) => ` - &${name} [${Array(20).fill(`*${"abcdefghij"[at]!}`).join()}]`)
        .join("\n")}`,
    ],
  ])("refuses a file that %s", (_what, text) => {
    expect(parseTaskFile(text, CONTEXT)).toMatchObject({ ok: false });
  });
});

/** As the core takes it. */
function checked(task: { readonly id: string }) {
  const { task: read, problems } = readTask(task, {
    provider: "file",
    id: task.id,
    key: `file/${task.id}`,
    loopback: false,
    previous: null,
  });
  return { task: read, problems };
}
