// MD5, as the group hashes of error trackers are; not for anything that an attacker must not find a second text for.

import { bytesOf, utf8 } from "./columns.js";

const SHIFTS = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21];
const SINES = Int32Array.from({ length: 64 }, (_, i) => Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32));

/** The MD5 of texts, in hexadecimal. Each is followed by a zero byte, so that "a", "bc" is not "ab", "c". */
export function hashOf(...parts) {
  return md5(bytesOf(parts.map((part) => `${utf8(String(part ?? ""))}\0`).join("")));
}

function md5(message) {
  const padded = new Uint8Array((((message.length + 8) >> 6) + 1) << 6);
  padded.set(message);
  padded[message.length] = 0x80;
  const words = new Int32Array(padded.buffer);
  words[words.length - 2] = message.length << 3;
  words[words.length - 1] = message.length >>> 29;
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  for (let at = 0; at < words.length; at += 16) mix(state, words.subarray(at, at + 16));
  let hex = "";
  for (const byte of new Uint8Array(state.buffer)) hex += (byte + 0x100).toString(16).slice(1);
  return hex;
}

function mix(state, words) {
  let [a, b, c, d] = state;
  for (let i = 0; i < 64; i++) {
    const round = i >> 4;
    let mixed;
    let word;
    if (round === 0) [mixed, word] = [(b & c) | (~b & d), i];
    else if (round === 1) [mixed, word] = [(d & b) | (~d & c), (5 * i + 1) & 15];
    else if (round === 2) [mixed, word] = [b ^ c ^ d, (3 * i + 5) & 15];
    else [mixed, word] = [c ^ (b | ~d), (7 * i) & 15];
    const sum = (a + mixed + SINES[i] + words[word]) | 0;
    const shift = SHIFTS[(round << 2) | (i & 3)];
    [a, d, c, b] = [d, c, b, (b + ((sum << shift) | (sum >>> (32 - shift)))) | 0];
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
}
