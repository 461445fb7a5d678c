// Plugins that take out of events what must not be kept.

import { Cutter, utf8 } from "../columns.js";
import { checkedName, describe, Interner } from "../names.js";

const KINDS = ["string", "number", "boolean", "object", "array"];
const OPS = { remove: 0, replace: 1, mask: 2, hash: 3 };
/** The end of a range that stands for the whole value. */
const WHOLE = 0xffffffff;

/** One value that a selector names. There is one for a call, which goes from value to value. */
class Leaf {
  constructor(edits) {
    this.edits = edits;
  }

  remove(rule, start, end) {
    this.edits.push(this, OPS.remove, "", rule, start, end);
  }

  replace(text, rule, start, end) {
    if (typeof text !== "string") throw new TypeError(`a replacement is ${describe(text)}, not a string`);
    this.edits.push(this, OPS.replace, text, rule, start, end);
  }

  mask(character, rule, start, end) {
    if (typeof character !== "string" || [...character].length !== 1) {
      throw new TypeError(`a mask is ${describe(character)}, not one character`);
    }
    this.edits.push(this, OPS.mask, character, rule, start, end);
  }

  hash(key, rule, start, end) {
    if (typeof key !== "string") throw new TypeError(`the key of a hash is ${describe(key)}, not a string`);
    this.edits.push(this, OPS.hash, key, rule, start, end);
  }
}

/** What a scrubber wants changed. */
class Edits {
  constructor() {
    this.list = [];
    this.strings = new Interner();
  }

  push(leaf, op, text, rule, start, end) {
    if (leaf.id === undefined) throw new Error("a leaf was used after the call that it belongs to");
    const range = start === undefined && end === undefined ? [0, WHOLE] : rangeOf(leaf, start ?? 0, end);
    this.list.push({
      leaf: leaf.id,
      op,
      start: range[0],
      end: range[1],
      text: this.strings.add(text),
      rule: this.strings.add(checkedName("a rule", rule)),
    });
  }

  finish() {
    const list = withoutOverlaps(this.list);
    const column = (key) => list.map((edit) => edit[key]);
    return {
      leaf: column("leaf"),
      op: column("op"),
      start: column("start"),
      end: column("end"),
      text: column("text"),
      rule: column("rule"),
      strings: this.strings.texts,
    };
  }
}

/** Where a range of a text lies in its UTF-8. A range that cuts a character in two takes all of it. */
function rangeOf(leaf, start, end = leaf.text.length) {
  const { text } = leaf;
  if (leaf.kind !== "string") {
    throw new TypeError(`${leaf.path} is no string, but ${leaf.kind}: only its whole value can be edited`);
  }
  if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= text.length)) {
    throw new RangeError(`${leaf.path} has no range ${start}..${end}: its text has the length ${text.length}`);
  }
  if (leaf.ascii) return [start, end];
  const from = utf8(text.slice(0, cuts(text, start) ? start - 1 : start)).length;
  return [from, utf8(text.slice(0, cuts(text, end) ? end + 1 : end)).length];
}

/** Whether `at` lies between the halves of a surrogate pair. */
function cuts(text, at) {
  return (text.charCodeAt(at - 1) & 0xfc00) === 0xd800 && (text.charCodeAt(at) & 0xfc00) === 0xdc00;
}

/** Where edits of a leaf overlap, the earlier one is stretched over both: what any of them covers does not survive. */
function withoutOverlaps(list) {
  // Leaves come in ascending order, so one look tells that no leaf was edited twice.
  if (list.every((edit, i) => i === 0 || list[i - 1].leaf < edit.leaf)) return list;
  const order = list.map((_, i) => i);
  order.sort((a, b) => list[a].leaf - list[b].leaf || list[a].start - list[b].start || a - b);
  const merged = [];
  for (const at of order) {
    const edit = { ...list[at], at };
    const last = merged.at(-1);
    if (last === undefined || last.leaf !== edit.leaf || !overlap(last, edit)) {
      merged.push(edit);
      continue;
    }
    const { op, text, rule } = last.at < at ? last : edit;
    const span = { start: Math.min(last.start, edit.start), end: Math.max(last.end, edit.end) };
    merged[merged.length - 1] = { leaf: edit.leaf, op, text, rule, ...span, at: Math.min(last.at, at) };
  }
  return merged;
}

function overlap(a, b) {
  return (a.start === b.start && a.end === b.end) || a.end === WHOLE || b.end === WHOLE || b.start < a.end;
}

/** Paths by their keys, which name the same path in every call of a host: there are few of them, and each is decoded once. */
const known = new WeakMap();

function pathsOf(list, source) {
  if (!known.has(source)) known.set(source, new Map());
  const paths = known.get(source);
  const cutter = new Cutter(list.pathData);
  return Array.from(list.pathKeys, (key, i) => {
    if (!paths.has(key)) paths.set(key, cutter.cut(list.pathOffsets[i], list.pathOffsets[i + 1]));
    return paths.get(key);
  });
}

export function runScrubber(plugin, state, source) {
  const edits = new Edits();
  const leaf = new Leaf(edits);
  selectorsOf(plugin, state).forEach((selector, index) => {
    const list = source.leaves(selector);
    const table = pathsOf(list, source);
    const cutter = new Cutter(list.data);
    const { ids, kinds, events, offsets } = list;
    leaf.selector = index;
    for (let i = 0; i < ids.length; i++) {
      leaf.id = ids[i];
      leaf.event = events[i];
      leaf.kind = KINDS[kinds[i]];
      leaf.path = table[list.paths[i]];
      leaf.text = cutter.cut(offsets[i], offsets[i + 1]);
      leaf.ascii = cutter.ascii || leaf.text.length === offsets[i + 1] - offsets[i];
      plugin.scrub(leaf, state);
    }
  });
  leaf.id = undefined;
  return edits.finish();
}

/** The selectors that a scrubber asks for. */
export function selectorsOf(plugin, state) {
  const selectors = typeof plugin.selectors === "function" ? plugin.selectors(state) : plugin.selectors;
  if (Array.isArray(selectors) && selectors.every((one) => typeof one === "string")) return selectors;
  throw new TypeError(`selectors must be a list of strings, not ${describe(selectors)}`);
}
