// Makes a component of a plugin: node build.mjs --wit FILE --kind filter --source src/plugin.js --out plugin.wasm
// in the folder of the plugin, whose node_modules has esbuild and componentize-qjs. `tamis plugin build` runs it.

import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { mapped } from "./src/trace.js";

const SDK = dirname(fileURLToPath(import.meta.url));
const INTERFACES = { filter: "filtering", sampler: "sampling", scrubber: "scrubbing", fingerprinter: "fingerprinting" };
/** What QuickJS knows; newer syntax is written in older one. */
const TARGET = "es2023";

/** A tool of the plugin's own node_modules, in the version that its lock file pins. */
async function tool(plugin, name) {
  const require = createRequire(resolve(plugin, "package.json"));
  try {
    return await import(pathToFileURL(require.resolve(name)));
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    const command = existsSync(resolve(plugin, "package-lock.json")) ? "npm ci" : "npm install";
    throw new Problem(`${name} is not installed: run \`${command}\` in ${plugin}`);
  }
}

class Problem extends Error {}

/** One module of the plugin, the SDK and all packages, and its source map. */
async function bundle(plugin, source, kind) {
  const esbuild = await tool(plugin, "esbuild");
  const entry = `
    import { component } from "@tamis/plugin/component.js";
    import plugin from ${JSON.stringify(`./${relative(plugin, source)}`)};
    export const ${INTERFACES[kind]} = component(plugin, ${JSON.stringify(kind)}, () => globalThis.__tamisSourceMap);
  `;
  const result = await esbuild.build({
    stdin: { contents: entry, resolveDir: plugin, sourcefile: "tamis-entry.js" },
    absWorkingDir: plugin,
    alias: { "@tamis/plugin": SDK },
    bundle: true,
    external: ["tamis:*"],
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["import", "default"],
    target: TARGET,
    outfile: "plugin.js",
    write: false,
    sourcemap: "external",
    sourcesContent: false,
    logLevel: "warning",
  });
  const text = (end) => result.outputFiles.find((file) => file.path.endsWith(end)).text;
  return { code: text(".js"), map: traceable(JSON.parse(text(".map"))) };
}

/** The part of a source map that stack traces need. */
function traceable({ sources, mappings }) {
  const named = (source) => {
    const inside = relative(SDK, resolve(source));
    return inside.startsWith("..") ? source : `@tamis/plugin/${inside}`;
  };
  return { sources: sources.map(named), mappings };
}

/** The component, as bytes. The author's modules run here once, up to the point where events come; a mistake in that shows here. */
async function component(plugin, wit, kind, { code, map }) {
  const { componentize } = await tool(plugin, "componentize-qjs");
  const jsSource = `${code}\nglobalThis.__tamisSourceMap = ${JSON.stringify(map)};\n`;
  try {
    const made = await componentize({ witPath: resolve(wit), world: kind, jsSource, sync: true, stubWasi: true });
    return made.component;
  } catch (error) {
    // What the tool says around the author's own error is of no use to them.
    throw new Problem(mapped(error.message.trim(), map).replace(/^.*module evaluation: /s, ""));
  }
}

async function main() {
  const text = { type: "string" };
  const { values } = parseArgs({ options: { wit: text, kind: text, source: text, out: text } });
  const missing = ["wit", "kind", "source", "out"].find((name) => values[name] === undefined);
  if (missing !== undefined) throw new Problem(`--${missing} is missing`);
  if (!Object.hasOwn(INTERFACES, values.kind)) throw new Problem(`${values.kind} is no kind of plugin`);
  const plugin = process.cwd();
  const source = resolve(plugin, values.source);
  if (!existsSync(source)) throw new Problem(`there is no ${values.source}`);
  const bundled = await bundle(plugin, source, values.kind);
  writeFileSync(values.out, await component(plugin, values.wit, values.kind, bundled));
}

try {
  await main();
} catch (error) {
  // What esbuild found wrong in a source, it has shown itself.
  if (error.errors === undefined) process.stderr.write(`${error instanceof Problem ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
