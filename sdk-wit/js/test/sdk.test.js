// The SDK on the host's own columns. TAMIS names the binary, else it is `tamis` on PATH.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";

import { config, drop, filter, fingerprinter, hashOf, keep, log, rate, sampler, scrubber } from "@tamis/plugin";
import { run } from "@tamis/plugin/testing";

/** What `look` sees of each event. */
function seen(events, look) {
  const all = [];
  const spy = filter({
    filter(event) {
      all.push(look(event));
      return keep;
    },
  });
  run(spy, events);
  return all;
}

const chain = {
  exception: {
    values: [
      { type: "A", value: "é", stacktrace: { frames: [{ module: "m", in_app: true }, { lineno: 7 }] } },
      { type: "B" },
      { value: "日本", stacktrace: { frames: [{ module: "n", in_app: false }] } },
    ],
  },
};

test("values of events", () => {
  const events = [
    { release: "1.0", n: 5, yes: true, o: { a: [1] }, tags: { "it's a.b": "t" }, user: { id: 7, ip_address: "::1" } },
    { release: "Grüße 🦀", n: "5", yes: "no", tags: [["it's a.b", "u"]], user: { email: "e", username: "n" } },
    { $meta: { project_id: 42, received_at: 9 }, $trace: { release: "r" } },
  ];
  const texts = seen(events, (e) => [e.text("release"), e.text("n"), e.text("o"), e.text("$trace.release"), e.index]);
  assert.deepEqual(texts, [
    ["1.0", "5", undefined, undefined, 0],
    ["Grüße 🦀", "5", undefined, undefined, 1],
    [undefined, undefined, undefined, "r", 2],
  ]);
  assert.deepEqual(seen(events, (e) => e.number("n")), [5, undefined, undefined]);
  assert.deepEqual(seen(events, (e) => e.flag("yes")), [true, undefined, undefined]);
  assert.deepEqual(seen(events, (e) => e.texts("n")), [["5"], ["5"], [undefined]]);
  assert.deepEqual(seen(events, (e) => e.json("o")), ['{"a":[1]}', undefined, undefined]);
  assert.deepEqual(seen(events, (e) => e.tag("it's a.b")), ["t", "u", undefined]);
  assert.deepEqual(seen(events, (e) => [e.projectId, e.receivedAt]), [[1, 0], [1, 0], [42, 9]]);
  assert.deepEqual(
    seen(events, ({ user }) => [user.id, user.email, user.username, user.ipAddress]),
    [["7", undefined, undefined, "::1"], [undefined, "e", "n", undefined], Array(4).fill(undefined)],
  );
});

test("items of lists", () => {
  const events = [{}, chain, { exception: { values: [{ type: "C" }] } }];
  assert.deepEqual(seen(events, (e) => e.exceptions().map((x) => x.text("type"))), [[], ["A", "B", undefined], ["C"]]);
  assert.deepEqual(seen(events, (e) => e.exceptions().map((x) => x.text("value"))), [
    [],
    ["é", undefined, "日本"],
    [undefined],
  ]);
  assert.deepEqual(seen(events, (e) => e.exceptions().map((x) => x.frames().map((f) => f.flag("in_app")))), [
    [],
    [[true, undefined], [], [false]],
    [[]],
  ]);
  assert.deepEqual(seen(events, (e) => e.exceptions().map((x) => x.frames().map((f) => f.number("lineno")))), [
    [],
    [[undefined, 7], [], [undefined]],
    [[]],
  ]);
  assert.deepEqual(seen(events, (e) => e.texts("exception.values.*.type")), [[], ["A", "B", undefined], ["C"]]);
  assert.deepEqual(seen(events, (e) => e.text("exception.values.*.value")), [undefined, "é", undefined]);
  assert.deepEqual(seen(events, (e) => e.exceptions().map((x) => x.text("stacktrace.frames.*.module"))), [
    [],
    ["m", undefined, "n"],
    [undefined],
  ]);
  const all = "exception.values.*.stacktrace.frames";
  assert.deepEqual(seen(events, (e) => [e.count("exception.values"), e.count(all), e.counts(all)]), [
    [0, 0, []],
    [3, 3, [2, 0, 1]],
    [1, 0, [0]],
  ]);
  assert.deepEqual(seen(events, (e) => e.items(all).map((f) => f.text("module"))), [[], ["m", undefined, "n"], []]);
  assert.deepEqual(seen(events, (e) => e.texts(`${all}.*.module`)), [[], ["m", undefined, "n"], []]);
});

test("nothing of a call can be used after it", () => {
  const [kept] = seen([chain], (e) => ({ e, item: e.exceptions()[0], user: e.user }));
  for (const use of [() => kept.e.text("release"), () => kept.item.text("type"), () => kept.user.id, () => kept.e.number("n")]) {
    assert.throws(use, /was used after the call/);
  }
});

test("what the host refuses is thrown with its message", () => {
  assert.throws(() => seen([{}], (e) => e.text("a..b")), /a\.\.b/);
});

test("filters and samplers", () => {
  const releases = filter({
    config: { releases: config.list(config.text()) },
    filter: (event, { releases }) => (releases.includes(event.text("release")) ? drop("noisy") : keep),
  });
  assert.deepEqual(run(releases, [{ release: "1" }, { release: "2" }], { releases: ["1"] }), [{ drop: "noisy" }, "keep"]);

  const rates = { a: rate(0.5, "half"), b: keep, c: rate(7), d: rate(-1, "none") };
  const by = sampler({ sample: (event) => rates[event.text("release")] });
  const events = Object.keys(rates).map((release) => ({ release }));
  assert.deepEqual(run(by, events), [{ rate: 0.5, rule: "half" }, { rate: 1 }, { rate: 1 }, { rate: 0, rule: "none" }]);
  assert.throws(() => run(by, [{}]), /sample\(\) must return keep or rate\(0\.1, "rule"\), not undefined/);

  for (const [answer, want] of [
    [() => undefined, /must return keep or drop\("reason"\), not undefined/],
    [() => true, /not true/],
    [() => drop(""), /the reason of a drop must have 1 to 512 bytes: ""/],
    [() => drop("é".repeat(257)), /1 to 512 bytes/],
    [() => drop(5), /the reason of a drop is 5, not a string/],
    [() => rate(Number.NaN), /a rate is NaN, not a number from 0 to 1/],
  ]) {
    assert.throws(() => run(filter({ filter: answer }), [{}]), want);
  }
  assert.deepEqual(run(filter({ filter: () => drop("é".repeat(256)) }), [{}]), [{ drop: "é".repeat(256) }]);
});

test("fingerprinters", () => {
  const plugin = fingerprinter({
    fingerprint(event, out) {
      for (const text of event.texts("exception.values.*.value")) if (text !== undefined) out.push("app", text);
      if (event.text("release") !== undefined) out.push("release", hashOf("r", event.text("release")));
    },
  });
  const md5 = createHash("md5").update("r\0ü\0").digest("hex");
  assert.deepEqual(run(plugin, [chain, {}, { release: "ü" }]), [
    [{ kind: "app", fingerprint: "é" }, { kind: "app", fingerprint: "日本" }],
    [],
    [{ kind: "release", fingerprint: md5 }],
  ]);
  const push = (...parameters) => fingerprinter({ fingerprint: (_, out) => out.push(...parameters) });
  assert.throws(() => run(push("app", "x".repeat(65)), [{}]), /1 to 64 bytes/);
  assert.throws(() => run(push("app", "日".repeat(22)), [{}]), /1 to 64 bytes/);
  assert.throws(() => run(push("", "x"), [{}]), /the kind of a fingerprint must have 1 to 512 bytes/);
  assert.throws(() => run(fingerprinter({ fingerprint: () => "x" }), [{}]), /it returned "x"/);
});

test("hashes are those of MD5", () => {
  for (let length = 0; length < 200; length++) {
    const text = "aé日🦀"[length % 4].repeat(length).toWellFormed();
    assert.equal(hashOf(text), createHash("md5").update(`${text}\0`).digest("hex"), `${length}`);
  }
  assert.notEqual(hashOf("a", "bc"), hashOf("ab", "c"));
});

test("scrubbers", () => {
  const plugin = scrubber({
    selectors: ["extra.*", "extra.b || extra.n && $number"],
    scrub(leaf) {
      if (leaf.kind !== "string") return leaf.remove("@number");
      if (leaf.selector === 1) return leaf.mask("*", "@second", 0, 2);
      for (const { 0: found, index } of leaf.text.matchAll(/\d+|🦀/gu)) {
        leaf.replace("[x]", "@found", index, index + found.length);
      }
      if (leaf.text.startsWith("secret")) leaf.hash("key", "@secret");
    },
  });
  const extra = { a: "é12 🦀 日34", b: "99 balloons", c: "nothing", d: "secret", n: 5 };
  assert.deepEqual(run(plugin, [{}, { extra }]), [
    [],
    [
      { path: "extra.a", text: "é[x] [x] 日[x]", rules: ["@found", "@found", "@found"] },
      { path: "extra.b", text: "[x] balloons", rules: ["@found"] },
      { path: "extra.d", text: hmac("key", "secret"), rules: ["@secret"] },
      { path: "extra.n", text: null, rules: ["@number"] },
    ],
  ]);
  const edit = (what) => scrubber({ selectors: ["a || n && $number"], scrub: what });
  assert.throws(() => run(edit((leaf) => leaf.remove("@r", 1, 9)), [{ a: "abc" }]), /a has no range 1\.\.9: its text has the length 3/);
  assert.throws(() => run(edit((leaf) => leaf.remove("@r", 0, 1)), [{ n: 55 }]), /n is no string, but number/);
  assert.throws(() => run(edit((leaf) => leaf.remove("")), [{ a: "abc" }]), /a rule must have 1 to 512 bytes/);
  assert.throws(() => run(scrubber({ selectors: ["a ||"], scrub() {} }), [{ a: "abc" }]), /a \|\|/);
  // A range that cuts a character in two takes all of it.
  assert.deepEqual(run(edit((leaf) => leaf.remove("@r", 1, 2)), [{ a: "🦀🦀!" }]), [[{ path: "a", text: "🦀!", rules: ["@r"] }]]);
});

test("configuration", () => {
  const shape = {
    rate: config.number({ min: 0, max: 1 }).or(1),
    rules: config.list({ id: config.text(), on: config.flag().or(true) }).or([]),
    mode: config.oneOf("soft", "hard").or("soft"),
    projects: config.map({ rate: config.number() }).or(new Map()),
  };
  const read = (given) => {
    let state;
    run(filter({ config: shape, init: (read) => (state = read), filter: () => keep }), [{}], given);
    return state;
  };
  assert.deepEqual(read({}), { rate: 1, rules: [], mode: "soft", projects: new Map() });
  assert.deepEqual(read({ rules: [{ id: "a" }], projects: { 42: { rate: 2 } } }), {
    rate: 1,
    rules: [{ id: "a", on: true }],
    mode: "soft",
    projects: new Map([["42", { rate: 2 }]]),
  });
  for (const [given, want] of [
    [{ projects: { 42: { rate: "high" } } }, 'projects.42.rate: string "high", expected a number'],
    [{ projects: { 42: {} } }, "projects.42.rate: it is missing"],
    [{ projects: { 42: { rat: 1 } } }, "projects.42.rat: unknown key, expected rate"],
    [{ rules: [{ id: "a" }, { id: 5 }] }, "rules[1].id: 5, expected a string"],
    [{ rules: {} }, "rules: an object, expected a list"],
    [{ rate: 2 }, "rate: 2 is more than 1"],
    [{ mode: "x" }, 'mode: "x" is none of soft, hard'],
    [{ rats: 1 }, "rats: unknown key, expected rate, rules, mode, projects"],
    [[], "an array, expected an object"],
  ]) {
    assert.throws(() => read(given), { message: want });
  }
  assert.throws(() => run(filter({ filter: () => keep }), [{}], { a: 1 }), { message: "a: unknown key; there is nothing to configure" });
});

test("a definition with a mistake is refused", () => {
  assert.throws(() => filter({}), /a filter needs a function filter/);
  assert.throws(() => sampler({ filter: () => keep }), /a sampler needs a function sample/);
  assert.throws(() => filter({ filter: () => keep, confg: {} }), /a filter has no confg, but filter, config, init, selectors/);
});

test("the log goes to standard error", (t) => {
  const error = t.mock.method(console, "error", () => {});
  log.warn("two", 2, { a: [1] }, new TypeError("bad"));
  assert.match(error.mock.calls[0].arguments[0], /^warn: two 2 \{"a":\[1\]\} TypeError: bad\n/);
});

function hmac(key, text) {
  return createHmac("sha1", key).update(text).digest("hex").toUpperCase();
}
