import assert from "node:assert/strict";
import { test } from "node:test";

import { installClosed, rewind } from "../src/closed.js";

test("time and random numbers are the same in every call", () => {
  const before = { Date, performance, random: Math.random };
  const look = () => [Date.now(), new Date().getTime(), performance.now(), Math.random(), Math.random()];
  try {
    installClosed();
    rewind();
    const first = look();
    rewind();
    assert.deepEqual(look(), first);
    assert.deepEqual(first.slice(0, 3), [1, 2, 3]);
    assert.ok(first.slice(3).every((n) => n >= 0 && n < 1) && first[3] !== first[4]);
    assert.equal(new Date(5).getTime(), 5);
    assert.equal(Date.UTC(1970, 0, 2), 86_400_000);
    assert.ok(new Date() instanceof Date && typeof Date() === "string");
  } finally {
    globalThis.Date = before.Date;
    globalThis.performance = before.performance;
    Math.random = before.random;
  }
});
