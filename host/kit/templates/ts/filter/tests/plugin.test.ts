import assert from "node:assert/strict";
import { test } from "node:test";

import { run } from "@tamis/plugin/testing";

import plugin from "../src/plugin.ts";

test("noisy releases go", () => {
  const events = [{ release: "1.0" }, { release: "1.1" }, {}];
  assert.deepEqual(run(plugin, events, { releases: ["1.0"] }), [{ drop: "noisy-release" }, "keep", "keep"]);
});

test("mistakes are named", () => {
  assert.throws(() => run(plugin, [{}]), { message: "releases: it is missing" });
  assert.throws(() => run(plugin, [{}], { releases: ["1.0", 2] }), { message: "releases[1]: 2, expected a string" });
});
