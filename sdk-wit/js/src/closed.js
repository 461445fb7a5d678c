// What a component has in the place of a clock and of randomness.
//
// A plugin is a function of its batch and of its configuration: asked again, it must answer the same. Packages ask for the time and for random
// numbers to exist, so they get both: time that passes by itself, numbers from a fixed seed, and both anew in every call. The runtime's own
// would end the call without a word, since there is nothing behind them.

const SEED = 0x9e3779b9;

let ticks = 0;
let random = SEED;

/** Begins a call. */
export function rewind() {
  ticks = 0;
  random = SEED;
}

export function installClosed() {
  const RealDate = Date;
  const now = () => ++ticks;
  class ClosedDate extends RealDate {
    constructor(...parts) {
      if (parts.length === 0) super(now());
      else super(...parts);
    }
  }
  ClosedDate.now = now;
  globalThis.Date = new Proxy(ClosedDate, { apply: () => new ClosedDate().toString() });
  globalThis.performance = { now, timeOrigin: 0 };
  Math.random = () => {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    return (random >>> 0) / 2 ** 32;
  };
}
