import assert from "node:assert/strict";
import { test } from "node:test";

import { run } from "@tamis/plugin/testing";

import plugin from "../src/plugin.js";

test("environments have rates", () => {
  const events = [{ environment: "staging" }, { environment: "production" }, {}];
  const want = [{ rate: 0.1, rule: "staging" }, { rate: 1 }, { rate: 1 }];
  assert.deepEqual(run(plugin, events, { rates: { staging: 0.1 } }), want);
});

test("mistakes are named", () => {
  assert.throws(() => run(plugin, [{}], { rates: { staging: 2 } }), { message: "rates.staging: 2 is more than 1" });
});
