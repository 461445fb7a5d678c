// The four kinds of plugins: what an author exports, and how a batch runs through it.

import { readConfig } from "./config.js";
import { runFilter } from "./kinds/filter.js";
import { runFingerprinter } from "./kinds/fingerprinter.js";
import { runSampler } from "./kinds/sampler.js";
import { runScrubber, selectorsOf } from "./kinds/scrubber.js";
import { describe } from "./names.js";

/** The function that each kind has per event, what runs a batch, and how the WIT calls both. */
export const KINDS = {
  filter: { method: "filter", run: runFilter },
  sampler: { method: "sample", run: runSampler },
  scrubber: { method: "scrub", run: runScrubber },
  fingerprinter: { method: "fingerprint", run: runFingerprinter },
};

const KEYS = ["config", "init", "selectors"];

class Plugin {
  constructor(kind, definition) {
    const { method } = KINDS[kind];
    if (typeof definition?.[method] !== "function") throw new TypeError(`a ${kind} needs a function ${method}`);
    const known = [method, ...KEYS];
    const unknown = Object.keys(definition).find((key) => !known.includes(key));
    if (unknown !== undefined) throw new TypeError(`a ${kind} has no ${unknown}, but ${known.join(", ")}`);
    this.kind = kind;
    this.definition = definition;
  }

  /** Reads the configuration and makes what the calls are given: the configuration itself, or what `init` makes of it. */
  start(json) {
    const { config, init } = this.definition;
    const read = readConfig(config, json);
    return init === undefined ? read : init(read);
  }

  /** A scrubber's selectors often come from the configuration: one that can not be parsed shall refuse it. */
  selectors(state) {
    return this.kind === "scrubber" ? selectorsOf(this.definition, state) : [];
  }

  run(state, source) {
    return KINDS[this.kind].run(this.definition, state, source);
  }
}

export const filter = (definition) => new Plugin("filter", definition);
export const sampler = (definition) => new Plugin("sampler", definition);
export const scrubber = (definition) => new Plugin("scrubber", definition);
export const fingerprinter = (definition) => new Plugin("fingerprinter", definition);

/** What a module exports by default must be a plugin, and of the kind that plugin.toml says. */
export function checkedPlugin(plugin, kind) {
  if (!(plugin instanceof Plugin)) {
    throw new TypeError(`the plugin must be exported: export default ${kind}({ … }); there is ${describe(plugin)}`);
  }
  if (plugin.kind !== kind) throw new TypeError(`plugin.toml says kind = "${kind}", and the export is a ${plugin.kind}`);
  return plugin;
}
