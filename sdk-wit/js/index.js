// Write plugins for Tamis in JavaScript or TypeScript. README.md shows how; index.d.ts says what everything is.

export { keep } from "./src/answers.js";
export { config } from "./src/config.js";
export { hashOf } from "./src/hash.js";
export { drop } from "./src/kinds/filter.js";
export { rate } from "./src/kinds/sampler.js";
export { log } from "./src/log.js";
export { filter, fingerprinter, sampler, scrubber } from "./src/plugins.js";
