import assert from "node:assert/strict";
import { test } from "node:test";

import { bytesOf, Cutter, isAscii, textsOf, utf8 } from "../src/columns.js";

test("one byte that is not ASCII is found wherever it is", () => {
  for (let length = 0; length < 150; length++) {
    const bytes = new Uint8Array(length + 1).fill(0x7f).subarray(length % 2);
    assert.ok(isAscii(bytes), `${length}`);
    for (let at = 0; at < bytes.length; at++) {
      bytes[at] = 0x80;
      assert.ok(!isAscii(bytes), `${at} of ${length}`);
      bytes[at] = 0x7f;
    }
  }
});

test("texts are those of the bytes, whatever is in the others", () => {
  const texts = ["plain", "", "é", undefined, "日本 🦀", "100 %", "%41"];
  for (const chosen of [texts, ["a", "b"], ["é", "%"], [undefined]]) {
    const bytes = chosen.map((text) => new TextEncoder().encode(text ?? ""));
    const offsets = bytes.reduce((all, one) => [...all, all.at(-1) + one.length], [0]);
    const presence = Uint8Array.from(chosen, (text) => (text === undefined ? 0 : 1));
    const read = textsOf({ presence, offsets, data: new Uint8Array(Buffer.concat(bytes)) });
    assert.deepEqual(chosen.map((_, row) => read(row)), chosen);
  }
  assert.equal(new Cutter(new Uint8Array()).cut(0, 0), "");
});

test("texts become UTF-8", () => {
  for (const text of ["", "plain", "é日🦀 %41"]) {
    assert.deepEqual(bytesOf(utf8(text)), new TextEncoder().encode(text));
  }
  assert.equal(utf8("\ud800!").length, 4);
});
