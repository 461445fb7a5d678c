import assert from "node:assert/strict";
import { test } from "node:test";

import { run } from "@tamis/plugin/testing";

import plugin from "../src/plugin.js";

const DROPPED = { drop: "noisy-dependency" };

/** An error whose frames are of these modules, the outermost first. */
const error = (modules, rest = {}) => ({
  exception: { values: [{ type: "OSError", ...rest, stacktrace: { frames: modules.map((module) => ({ module })) } }] },
});

test("the innermost frames decide", () => {
  const config = { modules: ["urllib3", "newrelic"] };
  const events = [
    error(["app", "urllib3", "urllib3.connection", "urllib3.util.retry"]),
    error(["app", "app.jobs", "urllib3", "urllib3.connection"]),
    error(["app", "urllib3", "urllib3_ext", "urllib3"]),
    error(["urllib3", "newrelic", "urllib3"]),
    error(["urllib3", "urllib3"]),
    { message: "no exception" },
  ];
  assert.deepEqual(run(plugin, events, config), [DROPPED, "keep", "keep", "keep", "keep", "keep"]);
  const shallow = run(plugin, events, { ...config, frames: 1, reason: "urllib3" });
  assert.deepEqual(shallow, [...Array(5).fill({ drop: "urllib3" }), "keep"]);
});

test("packages of node are known by their folder", () => {
  const filenames = ["/app/main.js", "/app/node_modules/newrelic/a.js", "/app/node_modules/newrelic/lib/b.js"];
  const frames = filenames.map((filename) => ({ filename }));
  const events = [{ exception: { values: [{ type: "Error", stacktrace: { frames } }] } }];
  assert.deepEqual(run(plugin, events, { modules: ["newrelic"], frames: 2 }), [DROPPED]);
  assert.deepEqual(run(plugin, events, { modules: ["newrelic"] }), ["keep"]);
});

test("exceptions are listed by type, by module and type, or by module", () => {
  const events = [
    error([], { type: "TimeoutError" }),
    error([], { type: "ProtocolError", module: "urllib3.exceptions" }),
    error([], { type: "ProtocolError", module: "h11" }),
    error([], { type: "Other", module: "h11._util" }),
    { exception: { values: [{ type: "TimeoutError" }, { type: "AppError" }] } },
  ];
  const of = (exceptions) => run(plugin, events, { exceptions }).map((answer) => answer !== "keep");
  assert.deepEqual(of(["TimeoutError"]), [true, false, false, false, false]);
  assert.deepEqual(of(["urllib3.exceptions.ProtocolError"]), [false, true, false, false, false]);
  assert.deepEqual(of(["h11.*"]), [false, false, true, true, false]);
});

test("mistakes are named", () => {
  for (const [config, message] of [
    [{}, "modules: nothing is listed here or in exceptions"],
    [{ modules: "urllib3" }, 'modules: string "urllib3", expected a list'],
    [{ modules: ["a", 1] }, "modules[1]: 1, expected a string"],
    [{ modules: ["a"], frames: 0 }, "frames: 0 is less than 1"],
    [{ modules: ["a"], frames: 1.5 }, "frames: 1.5 is no whole number"],
    [{ module: ["a"] }, "module: unknown key, expected modules, exceptions, frames, reason"],
  ]) {
    assert.throws(() => run(plugin, [{}], config), { message });
  }
});
