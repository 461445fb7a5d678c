// Runs plugins on your machine, in `node --test`, against JSON events: on the host's own columns and without WebAssembly.
// What a plugin pulls comes from `tamis plugin columns`, so that paths and selectors mean exactly what they mean in the host.

import { spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";

import { checkedPlugin } from "./src/plugins.js";

/** What the answer of each function has, in the order of the WIT. */
const RESULTS = {
  len: [["len", "u32"]],
  strings: [["presence", "u8"], ["offsets", "u32"], ["data", "u8"]],
  numbers: [["presence", "u8"], ["values", "f64"]],
  json: [["presence", "u8"], ["offsets", "u32"], ["data", "u8"]],
  counts: [["counts", "u32"]],
  leaves: [
    ["events", "u32"], ["ids", "u32"], ["kinds", "u8"], ["paths", "u32"], ["offsets", "u32"],
    ["data", "u8"], ["pathOffsets", "u32"], ["pathData", "u8"], ["pathKeys", "u32"],
  ],
};

/** Reads what `tamis plugin columns --raw` writes. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  list(type) {
    const count = this.view.getUint32(this.at, true);
    this.at += 4;
    const size = { u8: 1, u32: 4, f64: 8 }[type];
    const from = this.at;
    this.at += count * size;
    if (type === "u8") return new Uint8Array(this.bytes.subarray(from, this.at));
    const read = type === "u32" ? (at) => this.view.getUint32(at, true) : (at) => this.view.getFloat64(at, true);
    return Array.from({ length: count }, (_, i) => read(from + i * size));
  }

  answer(op) {
    const status = this.view.getUint8(this.at);
    this.at += 1;
    if (status !== 0) throw new Error(Buffer.from(this.list("u8")).toString());
    return Object.fromEntries(RESULTS[op].map(([name, type]) => [name, this.list(type)]));
  }
}

/** The current batch as a component would find it, from the `tamis` binary. Each pull is asked for once. */
class Columns {
  constructor(events) {
    this.input = JSON.stringify(events);
    this.known = new Map();
  }

  /** Pulls in one process: ids of leaves are of one process only. */
  pull(pulls) {
    const missing = pulls.filter((pull) => !this.known.has(pull));
    if (missing.length === 0) return;
    const program = process.env.TAMIS ?? "tamis";
    const parameters = ["plugin", "columns", "-", "--raw", ...missing.flatMap((pull) => ["--pull", pull])];
    const done = spawnSync(program, parameters, { input: this.input, maxBuffer: 2 ** 30 });
    if (done.error?.code === "ENOENT") {
      throw new Error(`${program} is not there: put the tamis binary on PATH, or name it in the variable TAMIS`);
    }
    if (done.error) throw done.error;
    if (done.status !== 0 && done.stdout.length === 0) {
      throw new Error(`tamis plugin columns failed: ${done.stderr.toString().trim()}`);
    }
    const reader = new Reader(done.stdout);
    for (const pull of missing) this.known.set(pull, reader.answer(pull.slice(0, pull.indexOf(":"))));
  }

  get(pull) {
    this.pull([pull]);
    return this.known.get(pull);
  }

  len() {
    return this.get("len:").len[0];
  }

  joined() {
    return undefined;
  }

  strings(path) {
    return this.get(`strings:${path}`);
  }

  numbers(path) {
    return this.get(`numbers:${path}`);
  }

  json(path) {
    return this.get(`json:${path}`);
  }

  counts(path) {
    return this.get(`counts:${path}`).counts;
  }

  leaves(selector) {
    return this.get(`leaves:${selector}`);
  }
}

/** How the answer of each kind is shown, for each event: as golden files have it, but for scrubbers. */
const SHOWN = {
  filter: ({ verdicts, reasons }) => Array.from(verdicts, (n) => (n === 0 ? "keep" : { drop: reasons[n - 1] })),
  sampler: ({ rates, decidedBy, rules }) =>
    Array.from(rates, (rate, i) => (decidedBy[i] === 0 ? { rate } : { rate, rule: rules[decidedBy[i] - 1] })),
  fingerprinter({ counts, kind, offsets, data, kinds }) {
    let next = 0;
    return counts.map((count) =>
      Array.from({ length: count }, () => {
        const fingerprint = Buffer.from(data.subarray(offsets[next], offsets[next + 1])).toString();
        return { kind: kinds[kind[next++]], fingerprint };
      }),
    );
  },
  scrubber: showScrubbed,
};

/** For each event its edited leaves: the path, the text that it has then (null where it was removed), and the rules. */
function showScrubbed(edits, columns, selectors) {
  const events = Array.from({ length: columns.len() }, () => []);
  const seen = new Set();
  for (const selector of selectors) {
    const list = columns.leaves(selector);
    const bytes = Buffer.from(list.data);
    list.ids.forEach((id, i) => {
      const mine = edits.leaf.flatMap((leaf, at) => (leaf === id ? [at] : []));
      if (mine.length === 0 || seen.has(id)) return;
      seen.add(id);
      const path = Buffer.from(list.pathData)
        .subarray(list.pathOffsets[list.paths[i]], list.pathOffsets[list.paths[i] + 1])
        .toString();
      const text = edited(bytes.subarray(list.offsets[i], list.offsets[i + 1]), edits, mine);
      events[list.events[i]].push({ path, text, rules: mine.map((at) => edits.strings[edits.rule[at]]) });
    });
  }
  return events;
}

/** The text of a leaf after its edits. */
function edited(bytes, edits, mine) {
  const pieces = [];
  let from = 0;
  for (const at of mine.toSorted((a, b) => edits.start[a] - edits.start[b])) {
    const end = Math.min(edits.end[at], bytes.length);
    const whole = edits.end[at] === 0xffffffff;
    if (whole && edits.op[at] === 0) return null;
    const range = bytes.subarray(edits.start[at], end);
    pieces.push(bytes.subarray(from, edits.start[at]), put(edits.op[at], range, edits.strings[edits.text[at]]));
    from = end;
  }
  return Buffer.concat([...pieces, bytes.subarray(from)]).toString();
}

function put(op, range, text) {
  const replaced = [
    () => "",
    () => text,
    () => text.repeat([...range.toString()].length),
    () => createHmac("sha1", text).update(range).digest("hex").toUpperCase(),
  ];
  return Buffer.from(replaced[op]());
}

/**
 * Runs a plugin over a batch of events, and gives the answer for each. An event may have `$meta` and `$trace`, as golden events may: what the
 * host knows beside it. Throws what `init` throws, and what would end the call in a host.
 */
export function run(plugin, events, config = {}) {
  const { kind } = checkedPlugin(plugin, plugin?.kind);
  // As a component gets it: what JSON can not say is not there.
  const state = plugin.start(JSON.stringify(config));
  const columns = new Columns(events);
  const selectors = plugin.selectors(state);
  columns.pull(["len:", ...selectors.map((selector) => `leaves:${selector}`)]);
  return SHOWN[kind](plugin.run(state, columns), columns, selectors);
}
