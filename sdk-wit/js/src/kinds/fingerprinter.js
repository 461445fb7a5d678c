// Plugins that say which events are the same.

import { bytesOf, utf8 } from "../columns.js";
import { overEvents } from "../event.js";
import { checkedName, describe, Interner } from "../names.js";

const FINGERPRINT_BYTES_MAX = 64;
const FINGERPRINTS_MAX = 64;

/** Where the fingerprints of an event go, the one that decides its group first. */
class Fingerprints {
  constructor() {
    this.length = 0;
    this.flat = { counts: [], kind: [], offsets: [0] };
    this.bytes = 0;
    this.pieces = [];
    this.kinds = new Interner();
  }

  push(kind, fingerprint) {
    if (typeof fingerprint !== "string") {
      throw new TypeError(`a fingerprint is ${describe(fingerprint)}, not a string`);
    }
    const piece = utf8(fingerprint);
    if (piece.length === 0 || piece.length > FINGERPRINT_BYTES_MAX) {
      throw new RangeError(`a fingerprint must have 1 to ${FINGERPRINT_BYTES_MAX} bytes: ${describe(fingerprint)}`);
    }
    if (this.length === FINGERPRINTS_MAX) {
      throw new RangeError(`an event can have ${FINGERPRINTS_MAX} fingerprints`);
    }
    this.flat.kind.push(this.kinds.add(checkedName("the kind of a fingerprint", kind)));
    this.pieces.push(piece);
    this.flat.offsets.push((this.bytes += piece.length));
    this.length += 1;
  }

  endOfEvent() {
    this.flat.counts.push(this.length);
    this.length = 0;
  }

  finish() {
    return { ...this.flat, data: bytesOf(this.pieces.join("")), kinds: this.kinds.texts };
  }
}

export function runFingerprinter({ fingerprint }, state, source) {
  const out = new Fingerprints();
  const decide = (event) => fingerprint(event, out, state);
  overEvents(source, source.len(), decide, state, (answer) => {
    if (answer !== undefined) {
      throw new TypeError(`fingerprint() returns nothing: out.push("kind", hash) it; it returned ${describe(answer)}`);
    }
    out.endOfEvent();
  });
  return out.finish();
}
