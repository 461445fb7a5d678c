// What the host hands over of the current batch, as JavaScript values.

/** The bytes as a string with one character per byte: offsets into the bytes are offsets into it. */
// QuickJS has no TextDecoder, and reading bytes one by one costs 50 times as much as going through base64, both
// ways of which are native. Node has both in Buffer.
const latin1 =
  typeof Uint8Array.prototype.toBase64 === "function"
    ? (bytes) => atob(bytes.toBase64())
    : (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");

/** The bytes of a string made by {@link latin1} or {@link utf8}. */
export const bytesOf =
  typeof Uint8Array.fromBase64 === "function"
    ? (text) => Uint8Array.fromBase64(btoa(text))
    : (text) => new Uint8Array(Buffer.from(text, "latin1"));

const NON_ASCII = /[^\0-\x7f]/;

export function isAsciiText(text) {
  return !NON_ASCII.test(text);
}

/** The text in UTF-8, with one character per byte. */
export function utf8(text) {
  // A lone half of a surrogate pair has no UTF-8.
  return isAsciiText(text) ? text : unescape(encodeURIComponent(text.toWellFormed()));
}

/** Whether all bytes are ASCII: four at a time, and 16 times per turn, since a turn is what costs an interpreter. */
export function isAscii(bytes) {
  const whole = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Int32Array(whole.buffer, whole.byteOffset, whole.length >> 2);
  const turns = words.length & ~15;
  let seen = 0;
  let i = 0;
  while (i < turns) {
    seen |=
      (words[i++] | words[i++] | words[i++] | words[i++] | words[i++] | words[i++] | words[i++] | words[i++]) |
      (words[i++] | words[i++] | words[i++] | words[i++] | words[i++] | words[i++] | words[i++] | words[i++]);
  }
  for (; i < words.length; i++) seen |= words[i];
  for (let at = words.length << 2; at < whole.length; at++) if (whole[at] > 0x7f) return false;
  return (seen & 0x80808080) === 0;
}

/** Cuts text out of bytes by offsets. */
export class Cutter {
  constructor(bytes) {
    this.text = latin1(bytes);
    this.ascii = isAscii(bytes);
  }

  cut(from, to) {
    const text = this.text.substring(from, to);
    return this.ascii || isAsciiText(text) ? text : decodeURIComponent(escape(text));
  }
}

/**
 * Reads the text of a row, `undefined` where there is none. Texts are cut when they are asked for: making a string costs as much as finding
 * it, and of most columns of frames a plugin looks at few rows.
 */
export function textsOf({ presence, offsets, data }) {
  const cutter = new Cutter(data);
  const cut = cutter.ascii ? cutter.text.substring.bind(cutter.text) : (from, to) => cutter.cut(from, to);
  if (presence.indexOf(0) === -1) return (row) => cut(offsets[row], offsets[row + 1]);
  return (row) => (presence[row] === 1 ? cut(offsets[row], offsets[row + 1]) : undefined);
}

/** The same of rows in one text: cut at once by the engine itself. */
export function textsOfJoined(joined) {
  const rows = joined.split("\u001e");
  if (!joined.includes("\u001f")) return (row) => rows[row];
  for (let row = 0; row < rows.length; row++) if (rows[row] === "\u001f") rows[row] = undefined;
  return (row) => rows[row];
}

/** Reads the number of a row, `undefined` where there is none. */
export function numbersOf({ presence, values }) {
  return (row) => (presence[row] === 1 ? values[row] : undefined);
}

/** Reads the count of a row. */
export function countsOf(counts) {
  return (row) => counts[row];
}
