import assert from "node:assert/strict";
import { test } from "node:test";

import { described } from "../src/trace.js";

// Line 1 of the bundle is line 1 of a.ts; line 2 is line 3 of b.ts, from its column 5 on column 10; line 3 is of the SDK.
const map = { sources: ["src/a.ts", "src/b.ts", "@tamis/plugin/src/event.js"], mappings: "AAAA;ACEA,KAAK;ACFL;" };

function thrown(stack) {
  const error = new TypeError("bad");
  error.stack = stack;
  return error;
}

test("places are those of the author's files, without the SDK's frames", () => {
  const stack = "    at f (/bundle.js:1:7)\n    at <anonymous> (/bundle.js:2:9)\n    at g (/bundle.js:2:2)\n    at h (/bundle.js:3:1)\n";
  assert.equal(
    described(thrown(stack), map),
    "TypeError: bad\n    at f (src/a.ts:1:1)\n    at <anonymous> (src/b.ts:3:6)\n    at g (src/b.ts:3:1)",
  );
  assert.equal(described(thrown("    at native"), map), "TypeError: bad\n    at native");
  assert.equal(described(thrown("    at f (/bundle.js:1:7)"), undefined), "TypeError: bad\n    at f (/bundle.js:1:7)");
});

test("whatever is thrown is described", () => {
  assert.equal(described("text", map), '"text" was thrown; throw an Error to see where');
  assert.equal(described(undefined, map), "undefined was thrown; throw an Error to see where");
  const error = thrown("");
  error.cause = thrown("    at f (/bundle.js:1:7)");
  assert.equal(described(error, map), "TypeError: bad\ncaused by TypeError: bad\n    at f (src/a.ts:1:1)");
});
