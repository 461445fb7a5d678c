// Plugins that decide at which rate events are kept.

import { overEvents } from "../event.js";
import { checkedName, describe, Interner } from "../names.js";

class Rate {
  constructor(value, rule) {
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw new TypeError(`a rate is ${describe(value)}, not a number from 0 to 1`);
    }
    this.value = Math.min(Math.max(value, 0), 1);
    this.rule = rule === undefined ? undefined : checkedName("the rule of a rate", rule);
  }
}

/**
 * The event is kept at this rate, and `rule` is what decided it, as the outcome will name it. What is below 0 or above 1 is brought to
 * the nearer end.
 */
export function rate(value, rule) {
  return new Rate(value, rule);
}

export function runSampler({ sample }, state, source) {
  const count = source.len();
  const rates = new Float64Array(count).fill(1);
  const decidedBy = new Uint32Array(count);
  const rules = new Interner();
  overEvents(source, count, sample, state, (answer, row) => {
    if (!(answer instanceof Rate)) {
      throw new TypeError(`sample() must return keep or rate(0.1, "rule"), not ${describe(answer)}`);
    }
    rates[row] = answer.value;
    if (answer.rule !== undefined) decidedBy[row] = rules.add(answer.rule) + 1;
  });
  return { rates, decidedBy, rules: rules.texts };
}
