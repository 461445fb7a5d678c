// The short texts of an answer: reasons, rules, kinds.

import { utf8 } from "./columns.js";

const NAME_BYTES_MAX = 512;

/** Numbers texts, so that an answer has each of them once. */
export class Interner {
  constructor() {
    this.texts = [];
    this.numbers = new Map();
  }

  add(text) {
    let number = this.numbers.get(text);
    if (number === undefined) {
      number = this.texts.push(text) - 1;
      this.numbers.set(text, number);
    }
    return number;
  }
}

/** Refuses what the host would refuse together with the whole answer, and says which one it was. */
export function checkedName(what, text) {
  if (typeof text !== "string") throw new TypeError(`${what} is ${describe(text)}, not a string`);
  // No character of a string has more than 3 bytes.
  const fits = text.length > 0 && (text.length * 3 <= NAME_BYTES_MAX || utf8(text).length <= NAME_BYTES_MAX);
  if (!fits) throw new RangeError(`${what} must have 1 to ${NAME_BYTES_MAX} bytes: ${describe(text)}`);
  return text;
}

/** A value in an error message. */
export function describe(value) {
  if (value === undefined) return "undefined";
  if (value === null) return "null";
  if (typeof value === "string") return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object") return "an object";
  if (typeof value === "function") return "a function";
  return String(value);
}
