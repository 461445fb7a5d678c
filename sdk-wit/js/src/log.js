// The host's log. Lines carry the stage and its generation, are cut at 4 KiB, and are limited in number.

import { Item } from "./event.js";

/** Where lines go: to the host in a component, to standard error in a test. */
let sink = (level, message) => console.error(`${level}: ${message}`);

export function setSink(write) {
  sink = write;
}

function at(level) {
  return (...values) => sink(level, values.map(shown).join(" "));
}

export const log = { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };

/** A value as `console.log` would show it, roughly. */
function shown(value) {
  if (typeof value === "string") return value;
  if (value instanceof Error) return `${value}\n${value.stack ?? ""}`.trimEnd();
  if (value instanceof Item) return `[event or item ${value.row}]`;
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    // A cycle, or a BigInt.
    return String(value);
  }
}

/** QuickJS has no console: this one writes to the host's log. */
export function installConsole() {
  const { error, warn, info, debug } = log;
  globalThis.console = { error, warn, info, debug, log: info, trace: debug };
}
