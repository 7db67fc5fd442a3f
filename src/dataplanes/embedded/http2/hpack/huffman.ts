/**
 * Bits of the code of each byte, and of the end of string as the last one (RFC 7541 Appendix B). The code is canonical: of the same length
 * they count up in the order of bytes, so that nothing else is needed.
 */
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
];

const SYMBOLS = 257;
const END_OF_STRING = 256;
/** Longest padding (RFC 7541 §5.2). */
const PADDING_BITS = 7;

/** Entries of `steps`: where to go on, what came out, whether it is wrong. */
const EMITS = 1 << 8;
const SYMBOL_SHIFT = 9;
const WRONG = 1 << 17;

/** By state and four bits of input; a state is a node within the code's tree, the first one its root. */
const steps = new Uint32Array(256 * 16);
/** Whether a string may end in a state: all since the last byte is ones, and fewer than eight. */
const mayEnd = new Uint8Array(256);
let built = false;

/** With the first string: at the start of a process it would be the one thing that wants the optimising compiler, which takes 5 MiB. */
function build(): void {
  built = true;
  const tree = buildTree();
  let node = 0;
  for (let depth = 0; depth <= PADDING_BITS; depth += 1) {
    mayEnd[node] = 1;
    node = tree[node * 2 + 1] ?? 0;
  }
  for (let state = 0; state < 256; state += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) steps[state * 16 + nibble] = stepOf(tree, state, nibble);
  }
}

/** Two children for each node: a node, or -1 less a symbol. */
function buildTree(): Int16Array {
  const tree = new Int16Array(256 * 2);
  let nodes = 1;
  let code = 0;
  let before = 0;
  const order = Array.from({ length: SYMBOLS }, (_, symbol) => symbol).sort(
    (a, b) => lengthOf(a) - lengthOf(b) || a - b,
  );
  for (const symbol of order) {
    const length = lengthOf(symbol);
    code <<= length - before;
    before = length;
    let at = 0;
    for (let bit = length - 1; bit >= 0; bit -= 1) {
      const child = at * 2 + ((code >>> bit) & 1);
      if (bit === 0) tree[child] = -1 - symbol;
      else if (tree[child] === 0) tree[child] = nodes++;
      at = tree[child] ?? 0;
    }
    code += 1;
  }
  return tree;
}

function lengthOf(symbol: number): number {
  return LENGTHS[symbol] ?? 0;
}

function stepOf(tree: Int16Array, state: number, nibble: number): number {
  let node = state;
  let out = 0;
  for (let bit = 3; bit >= 0; bit -= 1) {
    const child = tree[node * 2 + ((nibble >>> bit) & 1)] ?? 0;
    if (child === -1 - END_OF_STRING) return WRONG; // RFC 7541 §5.2
    node = child < 0 ? 0 : child;
    if (child < 0) out = EMITS | ((-1 - child) << SYMBOL_SHIFT); // no code is shorter than five bits
  }
  return out | node;
}

let text = Buffer.allocUnsafeSlow(4096);

/** The string between `at` and `end`, a character for each byte; null: it is no such code. */
export function decodeHuffman(bytes: Uint8Array, at: number, end: number): string | null {
  if (!built) build();
  const longest = (end - at) * 2; // five bits at least for each
  if (text.length < longest) text = Buffer.allocUnsafeSlow(longest);
  let length = 0;
  let state = 0;
  for (let index = at; index < end; index += 1) {
    const byte = bytes[index] ?? 0;
    const high = steps[state * 16 + (byte >>> 4)] ?? WRONG;
    if ((high & EMITS) !== 0) text[length++] = high >>> SYMBOL_SHIFT;
    const low = steps[(high & 0xff) * 16 + (byte & 15)] ?? WRONG;
    if ((low & EMITS) !== 0) text[length++] = low >>> SYMBOL_SHIFT;
    if (((high | low) & WRONG) !== 0) return null;
    state = low & 0xff;
  }
  return mayEnd[state] === 1 ? text.toString("latin1", 0, length) : null;
}
