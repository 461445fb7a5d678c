import assert from "node:assert/strict";
import { test } from "node:test";

import { run } from "@tamis/plugin/testing";

import plugin from "../src/plugin.ts";

const raisedIn = (name: string) => ({
  exception: { values: [{ type: "ValueError", stacktrace: { frames: [{ function: "main" }, { function: name }] } }] },
});

test("the function counts", () => {
  const [parse, read, again, none] = run(plugin, [raisedIn("parse"), raisedIn("read"), raisedIn("parse"), {}]);
  assert.deepEqual(parse, [{ kind: "app", fingerprint: "d608d6f03bb693b56d468118bd5a48a8" }]);
  assert.notDeepEqual(parse, read);
  assert.deepEqual(parse, again);
  assert.deepEqual(none, []);
});

test("mistakes are named", () => {
  assert.throws(() => run(plugin, [{}], { kind: 5 }), { message: "kind: 5, expected a string" });
});
