import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { claimGeneration, highestClaim, isClaimAlive, readClaim } from "./claim.ts";

function folderOfTest(): string {
  const folder = mkdtempSync(join(tmpdir(), "tg-claim-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("a generation is had once, and is its taker's while that lives", () => {
  const folder = folderOfTest();
  expect(highestClaim(folder)).toBe(0);
  expect(readClaim(folder, 1)).toBeNull();
  expect(claimGeneration(folder, 1)).toBe(true);
  expect(claimGeneration(folder, 1)).toBe(false);
  expect(isClaimAlive(readClaim(folder, 1)!)).toBe(true);
  expect(isClaimAlive({ ...readClaim(folder, 1)!, start: "another" })).toBe(false);
  expect(isClaimAlive({ ...readClaim(folder, 1)!, boot: "another" })).toBe(false);
});

test("a generation before one that was taken is not had any more, though its file is gone", () => {
  const folder = folderOfTest();
  claimGeneration(folder, 1);
  expect(claimGeneration(folder, 2)).toBe(true);
  expect(readClaim(folder, 1)).toBeNull();
  expect(claimGeneration(folder, 1)).toBe(false);
  expect(highestClaim(folder)).toBe(2);
});

test("of many processes that want a generation at once one gets it", async () => {
  const folder = folderOfTest();
  const module = JSON.stringify(join(import.meta.dirname, "claim.ts"));
  const script = `import(${module}).then((m) => process.exit(m.claimGeneration(".", 1) ? 0 : 9))`;
  const codes = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ["-e", script], { cwd: folder, stdio: "inherit" });
      return ((await once(child, "exit")) as [number])[0];
    }),
  );
  expect(codes.sort()).toEqual([0, 9, 9, 9]);
  expect(readdirSync(folder)).toEqual(["claim.1"]);
});

test("a claim that cannot be read was taken, by nobody who lives", () => {
  const folder = folderOfTest();
  writeFileSync(join(folder, "claim.3"), "");
  expect(isClaimAlive(readClaim(folder, 3)!)).toBe(false);
});
