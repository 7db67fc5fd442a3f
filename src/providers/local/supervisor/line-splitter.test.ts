import fc from "fast-check";
import { expect, test } from "vitest";
import { CUT_NOTE, LINE_BYTES, LineSplitter } from "./line-splitter.ts";

/** All lines of these chunks, the one without a line end included. */
function split(chunks: readonly Buffer[], limit?: number): readonly string[] {
  const splitter = new LineSplitter(limit);
  const lines = chunks.flatMap((chunk) => splitter.push(chunk));
  const rest = splitter.flush();
  return [...lines, ...(rest === null ? [] : [rest])].map((line) => line.toString());
}

test("gives whole lines without their ends, also those of Windows, and empty ones", () => {
  expect(split([Buffer.from("a\r\n\nb\nc")])).toEqual(["a", "", "b", "c"]);
});

test("gives the same lines however the bytes are cut into chunks", () => {
  const word = fc
    .array(fc.constantFrom("a", "é", "😀", " "), { maxLength: 12 })
    .map((characters) => characters.join(""));
  const text = fc.array(word, { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(text, fc.array(fc.nat(40), { maxLength: 20 }), (lines, cuts) => {
      const bytes = Buffer.from(`${lines.join("\n")}\n`);
      const places = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
      const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      expect(split(chunks)).toEqual(lines);
    }),
  );
});

test("cuts a line that is too long into pieces with a note, never inside a character", () => {
  const line = "é".repeat(LINE_BYTES);
  const pieces = split([Buffer.from(line), Buffer.from("\nnext\n")]);
  const note = CUT_NOTE.toString();
  expect(pieces.at(-1)).toBe("next");
  expect(pieces.slice(0, -2).every((piece) => piece.endsWith(note))).toBe(true);
  expect(pieces.slice(0, -1).every((piece) => Buffer.byteLength(piece) <= LINE_BYTES + CUT_NOTE.length)).toBe(true);
  expect(pieces.slice(0, -1).join("").replaceAll(note, "")).toBe(line);
});

test("leaves a line of exactly the longest length in one piece", () => {
  expect(split([Buffer.from("abcd\nabcde\n")], 4)).toEqual(["abcd", `abcd${CUT_NOTE.toString()}`, "e"]);
});

test("does not hold on to the chunks that it was given", () => {
  const splitter = new LineSplitter();
  const chunk = Buffer.from("before");
  splitter.push(chunk);
  chunk.fill("x");
  expect(splitter.flush()?.toString()).toBe("before");
});
