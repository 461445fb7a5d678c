// Drops errors that a noisy dependency makes by itself.

import { config, drop, filter, keep } from "@tamis/plugin";

export default filter({
  config: {
    /** Dependencies, by the name of their module or package: `urllib3` is also `urllib3.connection`. */
    modules: config.list(config.text()).or([]),
    /** Exceptions: `TimeoutError`, `urllib3.exceptions.ProtocolError`, or `urllib3.*` for all of a module. */
    exceptions: config.list(config.text()).or([]),
    /** How many of the innermost frames must be the dependency's. */
    frames: config.number({ min: 1 }).where((n) => (Number.isInteger(n) ? undefined : `${n} is no whole number`)).or(3),
    reason: config.text().or("noisy-dependency"),
  },
  init({ modules, exceptions, ...rest }) {
    if (modules.length + exceptions.length === 0) throw new Error("modules: nothing is listed here or in exceptions");
    const ofModules = exceptions.filter((name) => name.endsWith(".*")).map((name) => name.slice(0, -2));
    return { modules, names: new Set(exceptions), ofModules, ...rest };
  },
  filter(event, noisy) {
    // The last one is the one that was raised last, and that nobody caught.
    const exception = event.exceptions().at(-1);
    if (exception === undefined) return keep;
    return isListed(exception, noisy) || crashedWithin(exception, noisy) ? drop(noisy.reason) : keep;
  },
});

function isListed(exception, { names, ofModules }) {
  const type = exception.text("type");
  const module = exception.text("module");
  if (names.has(type) || names.has(`${module}.${type}`)) return true;
  return module !== undefined && ofModules.some((name) => isWithin(module, name));
}

/**
 * Whether the innermost frames are all of one dependency. One frame is not enough by default: what an application calls with wrong
 * arguments also fails within the dependency, at once, and is worth knowing.
 */
function crashedWithin(exception, { modules, frames }) {
  if (modules.length === 0) return false;
  const innermost = exception.frames().slice(-frames);
  if (innermost.length < frames) return false;
  return modules.some((name) => innermost.every((frame) => isOf(frame, name)));
}

function isOf(frame, name) {
  const module = frame.text("module");
  if (module !== undefined && isWithin(module, name)) return true;
  return frame.text("filename")?.includes(`node_modules/${name}/`) ?? false;
}

/** `urllib3.connection` and `express/lib/router` are within `urllib3` and `express`; `urllib3_ext` is not. */
function isWithin(module, name) {
  return module === name || (module.startsWith(name) && "./:".includes(module[name.length]));
}
