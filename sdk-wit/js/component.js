// What runs in a component between the host and the author's plugin. build.mjs makes the entry that calls it.

import batch from "tamis:plugin/batch@0.1.0";
import host from "tamis:plugin/log@0.1.0";

import { installClosed, rewind } from "./src/closed.js";
import { ConfigError } from "./src/config.js";
import { installConsole, log, setSink } from "./src/log.js";
import { checkedPlugin, KINDS } from "./src/plugins.js";
import { described } from "./src/trace.js";

// The author's modules run while the component is built, where there is no host yet: what they log waits for `init`.
const early = [];
setSink((...line) => early.push(line));
installConsole();
installClosed();

/** The exports of the interface of that kind. `map` gives the mappings of the bundle's source map. */
export function component(exported, kind, map) {
  const plugin = checkedPlugin(exported, kind);
  let state;

  function init(config) {
    rewind();
    setSink(host.log);
    for (const line of early) host.log(...line);
    try {
      state = plugin.start(config);
    } catch (error) {
      // Its message is the answer, which the operator sees. What was not thrown to say something is a mistake in the plugin.
      const meant = error instanceof ConfigError || error?.constructor === Error || !(error instanceof Error);
      if (!meant) log.error(described(error, map()));
      throw error instanceof Error ? error.message : String(error);
    }
    for (const selector of plugin.selectors(state)) batch.leaves(selector);
  }

  function call() {
    rewind();
    try {
      return plugin.run(state, batch);
    } catch (error) {
      log.error(described(error, map()));
      throw error;
    }
  }

  return { init, [KINDS[kind].method]: call };
}
