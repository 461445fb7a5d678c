// Drops events of noisy releases.

import { config, drop, filter, keep } from "@tamis/plugin";

export default filter({
  config: { releases: config.list(config.text()) },
  init: ({ releases }) => new Set(releases),
  filter(event, noisy) {
    const release = event.text("release");
    return release !== undefined && noisy.has(release) ? drop("noisy-release") : keep;
  },
});
