// `node --import @tamis/plugin/typescript --test` runs tests and plugins written in TypeScript: types are stripped by the esbuild of
// the plugin's node_modules. `npm run check` is what checks them.

import { register } from "node:module";

register("./src/typescript-hooks.mjs", import.meta.url);
