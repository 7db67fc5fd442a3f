import { expect, test } from "vitest";
import { parseLibraries } from "./image-contents.ts";

test("reads what a program is linked with, its loader included", () => {
  const listed = `	linux-vdso.so.1 (0x00007fb9cfac5000)
	libm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007fb9cf720000)
	libgone.so.1 => not found
	/lib64/ld-linux-x86-64.so.2 (0x00007fb9cfac7000)
`;
  expect(parseLibraries(listed)).toEqual(["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"]);
});

test("finds none in what is linked with none", () => {
  expect(parseLibraries("\tstatically linked\n")).toEqual([]);
});
