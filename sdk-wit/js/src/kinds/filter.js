// Plugins that decide which events are kept.

import { overEvents } from "../event.js";
import { checkedName, describe, Interner } from "../names.js";

class Drop {
  constructor(reason) {
    this.reason = checkedName("the reason of a drop", reason);
  }
}

/** The event is dropped for this reason, a short key such as `web-crawlers`; it stands in the event's outcome. */
export function drop(reason) {
  return new Drop(reason);
}

export function runFilter({ filter }, state, source) {
  const count = source.len();
  const verdicts = new Uint32Array(count);
  const reasons = new Interner();
  overEvents(source, count, filter, state, (verdict, row) => {
    if (!(verdict instanceof Drop)) {
      throw new TypeError(`filter() must return keep or drop("reason"), not ${describe(verdict)}`);
    }
    verdicts[row] = reasons.add(verdict.reason) + 1;
  });
  return { verdicts, reasons: reasons.texts };
}
