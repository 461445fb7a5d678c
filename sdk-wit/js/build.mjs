// Makes a component of a plugin: node build.mjs --wit FILE --kind filter --source src/plugin.js --out plugin.wasm
// in the folder of the plugin, whose node_modules has esbuild and componentize-qjs. `tamis plugin build` runs it.

import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

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
  return { code: text(".js"), map: JSON.parse(text(".map")) };
}

/** The bundle with the part of its source map that stack traces need. */
function withMap({ code, map }) {
  const sources = map.sources.map((source) => {
    const inside = relative(SDK, resolve(source));
    return inside.startsWith("..") ? source : `@tamis/plugin/${inside}`;
  });
  return `${code}\nglobalThis.__tamisSourceMap = ${JSON.stringify({ sources, mappings: map.mappings })};\n`;
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
  const { componentize } = await tool(plugin, "componentize-qjs");
  const { component } = await componentize({
    witPath: resolve(values.wit),
    world: values.kind,
    jsSource: withMap(await bundle(plugin, source, values.kind)),
    sync: true,
    stubWasi: true,
  });
  writeFileSync(values.out, component);
}

try {
  await main();
} catch (error) {
  // esbuild has said where a source is wrong by now.
  const said = error instanceof Problem || error.errors !== undefined;
  process.stderr.write(`${said ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
