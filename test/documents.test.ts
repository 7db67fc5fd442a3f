import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { ROOT } from "./support/gate.ts";

const DOCUMENTS = [
  ...[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "examples/services/README.md",
    "examples/assertions/README.md",
  ],
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
  ...readdirSync(join(ROOT, "docs", "adr")).map((name) => `docs/adr/${name}`),
];

test.each(DOCUMENTS)("%s links to nothing that is not there", (document) => {
  const text = readFileSync(join(ROOT, document), "utf8");
  const links = [...text.matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)].map((match) => match[1] ?? "");
  const missing = links.filter((link) => !existsSync(join(ROOT, dirname(document), link)));
  expect(missing).toEqual([]);
});

test.each(["ARCHITECTURE.md", "docs/security.md", "docs/errors.md", "docs/identity.md", "docs/culling.md"])(
  "%s names no source or test that is not there",
  (document) => {
    const text = readFileSync(join(ROOT, document), "utf8");
    const named = [...text.matchAll(/`((?:src|test|scripts|bench|testbed|ui|bin|examples)\/[\w./-]+)`/g)].map(
      (match) => match[1] ?? "",
    );
    // NAME stands for what the reader adds.
    const missing = named.filter((path) => !path.includes("NAME") && !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  },
);

test("every command that README, guide and what they lead to show is one that there is, with options that it has", () => {
  const reference = readFileSync(join(ROOT, "docs", "generated", "cli.md"), "utf8");
  const sections = reference.split(/^### taskgate /m).slice(1);
  const help = new Map(sections.map((section) => [section.split("\n", 1)[0]?.trim() ?? "", section]));
  const shown = ["guide", "login", "sharing", "audit", "culling", "identity"].map((name) => `docs/${name}.md`);
  for (const document of ["README.md", ...shown]) {
    const text = readFileSync(join(ROOT, document), "utf8");
    for (const [, command = "", rest = ""] of text.matchAll(
      /^(?:taskgate|.*&& taskgate) (\w+(?: (?:create|list|revoke|end|rotate))?)([^\n#]*)/gm,
    )) {
      expect([...help.keys()], `${document}: taskgate ${command}`).toContain(command);
      const own = rest.split(" -- ")[0] ?? "";
      for (const [option] of own.matchAll(/(?<=\s)--[a-z-]+/g)) {
        expect(help.get(command), `${document}: taskgate ${command}${own}`).toContain(option);
      }
    }
  }
});
