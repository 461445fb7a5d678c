// The hooks of ../typescript.mjs; node runs them in a thread of their own.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve as resolvePath } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(resolvePath(process.cwd(), "package.json"));

export async function load(url, context, next) {
  if (!/^file:.*\.m?ts$/.test(url)) return next(url, context);
  const { transform } = require("esbuild");
  const file = fileURLToPath(url);
  const source = await readFile(file, "utf8");
  const { code } = await transform(source, { loader: "ts", format: "esm", sourcefile: file, sourcemap: "inline" });
  return { format: "module", source: code, shortCircuit: true };
}
